//! Values that are one word or a table: policies and folders. Written out, because serde's own
//! untagged enums lose the place and the reason of a fault.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::raw::{PRESETS, RawDir, RawDirTable, RawLadder, RawPolicy};

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = RawPolicy;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "a preset in quotes such as \"bits\", or a table such as { attempts = 5, initial = \"1s\" }",
        )
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RawPolicy, E> {
        match PRESETS.iter().find(|preset| **preset == word) {
            Some(preset) => Ok(RawPolicy::Preset(preset)),
            None => Err(E::unknown_variant(word, &PRESETS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawPolicy, A::Error> {
        RawLadder::deserialize(MapAccessDeserializer::new(map)).map(RawPolicy::Own)
    }
}

impl<'de> Deserialize<'de> for RawPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct DirVisitor;

impl<'de> Visitor<'de> for DirVisitor {
    type Value = RawDir;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "a folder such as \"logs\" or \"logs:rw\", or { path = \"logs\", as = \"/logs\", write = true }",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawDir, E> {
        Ok(RawDir::Short(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawDir, A::Error> {
        RawDirTable::deserialize(MapAccessDeserializer::new(map)).map(RawDir::Table)
    }
}

impl<'de> Deserialize<'de> for RawDir {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DirVisitor)
    }
}

impl JsonSchema for RawPolicy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policy".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ladder = generator.subschema_for::<RawLadder>();
        json_schema!({
            "description": "A preset by name, or an own ladder of retries.",
            "anyOf": [{ "type": "string", "enum": PRESETS }, ladder]
        })
    }
}

impl JsonSchema for RawDir {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dir".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<RawDirTable>();
        json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, table] })
    }
}
