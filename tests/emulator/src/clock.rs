//! The emulator's own clock, which can be wrong on purpose, and the ways a time is written.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour repr:24]:[minute]:[second] GMT");
const ENTRA_TIMESTAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour repr:24]:[minute]:[second]Z");
const ENTRA_IN_TEXT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour repr:24]:[minute]:[second].0000000Z");
const MONTH_FIRST: &[FormatItem<'_>] = format_description!("[month]/[day]/[year] [hour repr:24]:[minute]:[second]");
const YEAR_FIRST: &[FormatItem<'_>] = format_description!("[year]-[month]-[day] [hour repr:24]:[minute]:[second]");
const ARM_SECONDS: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour repr:24]:[minute]:[second]");
/// The resource manager's units of time in a second.
const TICKS: i64 = 10_000_000;
const RFC_3339: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour repr:24]:[minute]:[second]Z");

/// The spellings of `expires_on` that clients of managed identities have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresOn {
    /// Unix seconds as text.
    #[default]
    Text,
    /// Unix seconds as a number.
    Number,
    /// `MM/dd/yyyy HH:mm:ss`.
    MonthFirst,
    /// `yyyy-MM-dd HH:mm:ss`.
    YearFirst,
    /// RFC 3339.
    Rfc3339,
}

impl ExpiresOn {
    pub(crate) fn write(self, seconds: i64) -> Value {
        match self {
            Self::Text => seconds.to_string().into(),
            Self::Number => seconds.into(),
            Self::MonthFirst => written(seconds, MONTH_FIRST).into(),
            Self::YearFirst => written(seconds, YEAR_FIRST).into(),
            Self::Rfc3339 => written(seconds, RFC_3339).into(),
        }
    }
}

/// The services' clock: the machine's, shifted by a skew in seconds.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    skew: AtomicI64,
}

impl Clock {
    /// The services' time in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        true_now() + self.skew.load(Ordering::Relaxed)
    }

    /// The services' time in units of 100 ns, which is as fine as the resource manager tells it.
    pub(crate) fn now_in_ticks(&self) -> i64 {
        let fraction = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos() / 100;
        self.now().saturating_mul(TICKS).saturating_add(fraction.into())
    }

    pub(crate) fn set_skew(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }
}

/// The machine's time in Unix seconds: the clock of the cluster that issues federated tokens.
pub(crate) fn true_now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// Writes a time as the `Date` header does.
pub(crate) fn http_date(seconds: i64) -> String {
    written(seconds, HTTP_DATE)
}

/// Writes a time as Entra's `timestamp` member does.
pub(crate) fn entra_timestamp(seconds: i64) -> String {
    written(seconds, ENTRA_TIMESTAMP)
}

/// Writes a time as Entra does inside its messages.
pub(crate) fn entra_in_text(seconds: i64) -> String {
    written(seconds, ENTRA_IN_TEXT)
}

/// Writes a time in units of 100 ns as the resource manager does: zeros at the end are cut off.
pub(crate) fn arm_time(ticks: i64) -> String {
    let fraction = format!("{:07}", ticks.rem_euclid(TICKS));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}Z", written(ticks.div_euclid(TICKS), ARM_SECONDS))
}

fn written(seconds: i64, format: &[FormatItem<'_>]) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_azure_spells_them() {
        assert_eq!(http_date(1_685_424_020), "Tue, 30 May 2023 05:20:20 GMT");
        assert_eq!(entra_timestamp(1_685_424_020), "2023-05-30 05:20:20Z");
    }

    #[test]
    fn the_resource_manager_cuts_zeros_off() {
        assert_eq!(arm_time(16_854_240_201_234_500), "2023-05-30T05:20:20.12345Z");
        assert_eq!(arm_time(16_854_240_200_000_000), "2023-05-30T05:20:20Z");
    }

    #[test]
    fn an_expiry_has_many_spellings() {
        let spelled = |form: ExpiresOn| form.write(1_586_984_735).to_string();
        assert_eq!(spelled(ExpiresOn::Text), r#""1586984735""#);
        assert_eq!(spelled(ExpiresOn::Number), "1586984735");
        assert_eq!(spelled(ExpiresOn::MonthFirst), r#""04/15/2020 21:05:35""#);
        assert_eq!(spelled(ExpiresOn::YearFirst), r#""2020-04-15 21:05:35""#);
        assert_eq!(spelled(ExpiresOn::Rfc3339), r#""2020-04-15T21:05:35Z""#);
    }

    #[test]
    fn the_skew_shifts_the_services_clock_only() {
        let clock = Clock::default();
        clock.set_skew(-4000);
        assert!((clock.now() - true_now() + 4000).abs() <= 1);
    }
}
