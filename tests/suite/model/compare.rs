//! Where store and model must agree: rows, verdicts, and what they led to.

use sexton::job::DeliveryState;
use sexton::store::{AfterFailure, DeliveryRecord, SettleResult, Settlement, Verdict as Real};

use super::rows::{Over, Row};
use super::settle::{LedTo, Next, Said, Verdict};

/// Agreed, or what differs.
pub(super) type Checked = Result<(), String>;

pub(super) fn same(model: &Row, real: &DeliveryRecord) -> Checked {
    expect("its handler", model.handler, handler_of(real.plugin.as_str())?)?;
    let counts = (u32::from(model.attempt), u32::from(model.charged));
    expect(
        "a delivery",
        (model.kind, model.state, counts),
        (real.event, real.state, (real.attempt, real.charged)),
    )?;
    if model.state == DeliveryState::Pending {
        expect("faults in a row", u32::from(model.faults), real.host_faults)?;
    }
    let word = match model.result {
        Some(Over::Acknowledged) => "acknowledged",
        Some(Over::Superseded) => "superseded",
        Some(Over::Purged) => "purged",
        _ => return Ok(()),
    };
    expect("how it ended", Some(word), real.result.as_deref())
}

/// What dispatch sent is what the model would send.
pub(super) fn agrees(verdict: &Verdict, settlement: &Settlement) -> Checked {
    expect("the revision", u64::from(verdict.revision), settlement.revision)?;
    let next = match &settlement.verdict {
        Real::Acknowledged { requests, .. } => {
            let decides = matches!(verdict.said, Said::Decide(_));
            return expect("whether it decides", decides, !requests.is_empty());
        }
        Real::Failed { next, .. } => match next {
            AfterFailure::Retry { .. } => Next::Retry,
            AfterFailure::Dead { .. } => Next::Dead,
            AfterFailure::Park { .. } => Next::Park,
            AfterFailure::FailFast { .. } => Next::FailFast,
        },
    };
    match verdict.said {
        Said::Fail(model) | Said::Fault(model) => expect("what follows a failure", model, next),
        other => Err(format!("a failure was settled, and the guest said {other:?}")),
    }
}

pub(super) fn led_to(result: Option<&SettleResult>) -> LedTo {
    match result {
        None => LedTo::Fenced,
        Some(SettleResult::Settled) => LedTo::Settled,
        Some(SettleResult::Conflict) => LedTo::Conflict,
        Some(SettleResult::Superseded) => LedTo::Superseded,
        Some(SettleResult::Retrying) => LedTo::Retrying,
        Some(SettleResult::Dead) => LedTo::Dead,
    }
}

pub(super) fn handler_of(plugin: &str) -> Result<u8, String> {
    let number = plugin.strip_prefix('h').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no handler {plugin}"))
}

pub(super) fn expect<T: PartialEq + std::fmt::Debug>(what: &str, model: T, real: T) -> Checked {
    if model == real {
        Ok(())
    } else {
        Err(format!("{what}: the model has {model:?}, the store {real:?}"))
    }
}
