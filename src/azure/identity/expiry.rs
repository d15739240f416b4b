//! How long a token lives, as the managed identity endpoints say it: numbers, numbers in quotes, and dates in the forms
//! that their generations have used. Pure; a number that makes no sense is none.

use std::time::Duration;

use serde_json::Value;

use crate::moment::UnixTime;

/// No token lives longer; a longer life is a mistake and is cut.
const LONGEST_LIFE: Duration = Duration::from_hours(7 * 24);
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// How long the token lives from now: until `expires_on`, else for `expires_in`. None when neither says so, or it has
/// ended already.
pub(super) fn life(expires_on: Option<&Value>, expires_in: Option<&Value>, now: UnixTime) -> Option<Duration> {
    let until = expires_on.and_then(moment).map(|end| end.since(now));
    let for_ = || expires_in.and_then(number).map(Duration::from_secs);
    let life = until.filter(|life| !life.is_zero()).or_else(for_)?;
    (!life.is_zero()).then(|| life.min(LONGEST_LIFE))
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    }
}

fn moment(value: &Value) -> Option<UnixTime> {
    let seconds = number(value).or_else(|| date(value.as_str()?.trim()))?;
    UnixTime::from_seconds(seconds)
}

/// `MM/dd/yyyy HH:mm:ss`, with ` AM` or ` PM` and ` +00:00` or without; `yyyy-MM-dd HH:mm:ss`; RFC 3339. In seconds
/// since 1970; UTC where no zone is said.
fn date(text: &str) -> Option<u64> {
    let (day, rest) = text.split_once([' ', 'T', 't'])?;
    let day = match (day.split('/').collect::<Vec<_>>().as_slice(), day.split('-').collect::<Vec<_>>().as_slice()) {
        ([month, day, year], _) | (_, [year, month, day]) => {
            days_since_1970(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)?
        }
        _ => return None,
    };
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(end)?;
    let seconds = time_of_day(clock, zone)?;
    let zone = zone.trim_start();
    let zone = zone.strip_prefix("AM").or_else(|| zone.strip_prefix("PM")).unwrap_or(zone).trim();
    let moment = day.checked_mul(DAY)?.checked_add(seconds)?;
    match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => Some(moment),
        Some(("+", offset)) => moment.checked_sub(offset_of(offset)?),
        Some(("-", offset)) => moment.checked_add(offset_of(offset)?),
        Some(_) => None,
    }
}

fn time_of_day(clock: &str, zone: &str) -> Option<u64> {
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let parts: Vec<u64> = clock.split(':').map(|part| digits(part, 2)).collect::<Option<_>>()?;
    let [hour, minute, second] = parts.as_slice() else { return None };
    let hour = match (zone.trim_start().get(..2), hour) {
        (Some("AM"), 12) => 0,
        (Some("PM"), 1..=11) => hour.checked_add(12)?,
        _ => *hour,
    };
    // A leap second is the second after it.
    (hour < 24 && *minute < 60 && *second <= 60).then(|| hour * 60 * MINUTE + minute * MINUTE + second)
}

fn offset_of(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| hours * 60 * MINUTE + minutes * MINUTE)
}

/// A number of so many digits at most.
fn digits(text: &str, most: usize) -> Option<u64> {
    let ok = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| text.parse().ok()).flatten()
}

/// The proleptic Gregorian calendar, counted in years that begin in March, so that the leap day is their last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests;
