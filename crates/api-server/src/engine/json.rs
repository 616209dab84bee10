//! Values as JSON, appended to an answer. By hand, and without texts in between: a list of a thousand ports is thirty thousand
//! values.

use jiff::Timestamp;
use jiff::tz::Offset;
use store::Raw;

/// The digits of a number.
pub fn write_number(number: i64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut rest = number.unsigned_abs();
    let mut first = digits.len();
    for (position, digit) in digits.iter_mut().enumerate().rev() {
        // What is left of it is less than ten.
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        first = position;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// A column as it is.
#[inline]
pub fn write_value(value: Raw<'_>, out: &mut Vec<u8>) {
    match value {
        Raw::Text(text) => write_text(text, out),
        Raw::Integer(number) => write_number(number, out),
        Raw::Real(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Raw::Null | Raw::Blob(_) => out.extend_from_slice(b"null"),
    }
}

/// A text in quotes; what is no UTF-8 of it is replaced.
#[inline]
pub fn write_text(text: &[u8], out: &mut Vec<u8>) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        write_any_text(&String::from_utf8_lossy(text), out);
    }
}

#[cold]
fn write_any_text(text: &str, out: &mut Vec<u8>) {
    // Nothing can go wrong when a text is written to memory.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// Whether it is ASCII of which nothing needs an escape: so it is with nearly everything that we store. Eight bytes are looked at
/// at once.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().all(|byte| matches!(byte, 0x20..0x80) && *byte != b'"' && *byte != b'\\');
    };
    let words = text.as_chunks::<8>().0.iter().chain([last]);
    words.fold(0, |found, word| found | special(u64::from_ne_bytes(*word))) == 0
}

/// Not 0 if one of the eight bytes is less than a space, a quote, a backslash or beyond ASCII.
#[inline]
fn special(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // A byte is less than another when subtracting that borrows its highest bit; equal when their difference is less than 1. One
    // beyond ASCII has that bit set.
    let less = |word: u64, than: u8| word.wrapping_sub(each(than)) & !word;
    (word | less(word, 0x20) | less(word ^ each(b'"'), 1) | less(word ^ each(b'\\'), 1)) & each(0x80)
}

/// Date and time in UTC, with what stands between and behind them.
pub fn write_time(time: Option<Timestamp>, (between, behind): (u8, &[u8]), out: &mut Vec<u8>) {
    let Some(time) = time else {
        out.extend_from_slice(b"null");
        return;
    };
    let at = Offset::UTC.to_datetime(time);
    let two = |number: i16| {
        let number = u8::try_from(number.unsigned_abs() % 100).unwrap_or_default();
        [b'0' + number / 10, b'0' + number % 10]
    };
    out.push(b'"');
    out.extend_from_slice(&two(at.year() / 100));
    out.extend_from_slice(&two(at.year()));
    for (before, number) in
        [(b'-', at.month()), (b'-', at.day()), (between, at.hour()), (b':', at.minute()), (b':', at.second())]
    {
        out.push(before);
        out.extend_from_slice(&two(number.into()));
    }
    out.extend_from_slice(behind);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{write_number, write_text, write_time};
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn instants_are_written_to_the_second() {
        let time = |text: &str, form: (u8, &[u8])| written(|out| write_time(Some(text.parse().unwrap()), form, out));
        assert_eq!(time("2026-11-21T09:08:07.999999Z", (b'T', b"Z")), "\"2026-11-21T09:08:07Z\"");
        assert_eq!(time("1970-01-01T00:00:00Z", (b' ', b"")), "\"1970-01-01 00:00:00\"");
        assert_eq!(time("0123-12-31T23:59:59Z", (b'T', b"Z")), "\"0123-12-31T23:59:59Z\"");
        assert_eq!(written(|out| write_time(None, (b'T', b"Z"), out)), "null");
    }

    #[test]
    fn every_special_character_is_found_wherever_it_stands() {
        for special in (0..0x20_u8).chain([b'"', b'\\']) {
            for length in 1..40 {
                for position in 0..length {
                    let mut text = vec![b'~'; length];
                    text[position] = special;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(
                        written(|out| write_text(text.as_bytes(), out)),
                        serde_json::Value::from(text).to_string()
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_json(text in "(\\PC|[ \"\\\\\u{0}-\u{ff}]){0,40}") {
            let json: serde_json::Value = serde_json::from_str(&written(|out| write_text(text.as_bytes(), out))).unwrap();
            prop_assert_eq!(json, serde_json::Value::from(text));
        }

        #[test]
        fn numbers_are_their_digits(number in any::<i64>(), shift in 0..64_u32) {
            let number = number >> shift;
            prop_assert_eq!(written(|out| write_number(number, out)), number.to_string());
        }
    }
}
