//! A tus 1.0 server's memory: what `site` asks once a request has come to it.

use std::collections::BTreeMap;

use sexton_tests::server::{Behaviour, Request};

/// Larger pieces are refused, so that small files take many.
const PIECE_MAX: u64 = 150_000;

#[derive(Debug, Default)]
pub(super) struct Uploads {
    made: u64,
    kept: BTreeMap<String, Upload>,
}

#[derive(Debug)]
struct Upload {
    bytes: Vec<u8>,
    total: u64,
}

fn said(status: u16, headers: &[(&str, String)]) -> Behaviour {
    let own = [("Tus-Resumable", "1.0.0".to_owned())];
    let headers = own.iter().chain(headers);
    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
    Behaviour::Status(status, headers.collect())
}

fn number(request: &Request, name: &str) -> Option<u64> {
    request.header(name)?.parse().ok()
}

impl Uploads {
    /// The answer to a request whose body is there as far as it came: a server keeps what it has got.
    pub(super) fn answer(&mut self, request: &Request) -> Behaviour {
        match request.method.as_str() {
            "OPTIONS" => said(
                204,
                &[
                    ("Tus-Version", "1.0.0".to_owned()),
                    ("Tus-Extension", "creation,termination".to_owned()),
                ],
            ),
            "POST" => {
                let Some(total) = number(request, "upload-length") else {
                    return said(400, &[]);
                };
                self.made += 1;
                let place = format!("{}-{}", request.path, self.made);
                let bytes = Vec::new();
                self.kept.insert(place.clone(), Upload { bytes, total });
                said(201, &[("Location", place)])
            }
            "DELETE" => said(
                if self.kept.remove(&request.path).is_some() {
                    204
                } else {
                    404
                },
                &[],
            ),
            _ => self.known(request),
        }
    }

    fn known(&mut self, request: &Request) -> Behaviour {
        let Some(upload) = self.kept.get_mut(&request.path) else {
            return said(404, &[]);
        };
        let offset = upload.bytes.len() as u64;
        if request.method == "PATCH" {
            if number(request, "upload-offset") != Some(offset) {
                return said(409, &[]);
            }
            if number(request, "content-length").is_none_or(|length| length > PIECE_MAX) {
                return said(413, &[]);
            }
            upload.bytes.extend_from_slice(&request.body);
        }
        let offset = upload.bytes.len() as u64;
        said(
            if request.method == "HEAD" { 200 } else { 204 },
            &[
                ("Upload-Offset", offset.to_string()),
                ("Upload-Length", upload.total.to_string()),
            ],
        )
    }

    /// Bytes that it has at this very place.
    pub(super) fn has(&self, place: &str) -> usize {
        self.kept.get(place).map_or(0, |upload| upload.bytes.len())
    }

    /// Forgets the upload at this very place, unless it is whole: what is whole is somebody's file.
    pub(super) fn forget(&mut self, place: &str) {
        if self
            .kept
            .get(place)
            .is_some_and(|upload| (upload.bytes.len() as u64) < upload.total)
        {
            self.kept.remove(place);
        }
    }

    /// Takes all uploads that were made at a path out of its memory. One of which nobody was told, or
    /// whose maker died before it could note it, is there and empty; it is left out.
    pub(super) fn take(&mut self, path: &str) -> Vec<Vec<u8>> {
        let begin = format!("{path}-");
        let all = std::mem::take(&mut self.kept);
        let (taken, kept) = all.into_iter().partition(|(place, _)| place.starts_with(&begin));
        self.kept = kept;
        let taken: BTreeMap<String, Upload> = taken;
        let bytes = taken.into_values().map(|upload| upload.bytes);
        bytes.filter(|bytes| !bytes.is_empty()).collect()
    }
}
