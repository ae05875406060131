//! One pass over the first level of a JSON object, borrowing, without a value tree and without recursion over the
//! payload's depth: values are skipped by an iterative scanner that checks grammar and UTF-8.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::metadata::METADATA_KEY;
use crate::skim::{Skimmed, skim};

/// What is known of a payload that is one JSON object with nothing but white space around it.
pub(crate) struct Object {
    /// From the opening to after the closing brace.
    pub span: Range<usize>,
    /// Whether any member is left when `cuts` are taken out.
    pub has_members: bool,
    /// Ranges, in order, whose removal takes out the members called [`METADATA_KEY`] in any case. Almost always none.
    pub cuts: Vec<Range<usize>>,
    /// Whether there may be line breaks.
    pub breaks: bool,
}

/// Scans `payload`, whose first character that is not white space is an opening brace. It is text already, so that UTF-8
/// is checked once and not again for every name and value.
pub(crate) fn scan(payload: &str) -> Result<Object, serde_json::Error> {
    match skim(payload) {
        Some(Skimmed { span, has_members, breaks }) => {
            Ok(Object { span, has_members, cuts: Vec::new(), breaks })
        }
        None => parse(payload),
    }
}

/// [`scan`] by the library's parser.
pub(crate) fn parse(payload: &str) -> Result<Object, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(payload);
    let (has_members, cuts) = json.deserialize_map(MemberScan { base: payload.as_ptr().addr() })?;
    json.end()?;
    let start = payload.len() - payload.trim_ascii_start().len();
    let end = start + payload.trim_ascii().len();
    Ok(Object { span: start..end, has_members, cuts, breaks: true })
}

/// Whether the JSON string `raw` spells `name`.
pub(crate) fn is_key(raw: &RawValue, name: &str) -> bool {
    let Some(inner) = raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    if !inner.contains('\\') {
        return inner == name;
    }
    // Escapes such as `\u006b` may spell the same name. A name that has no text (a lone surrogate) is another name.
    serde_json::from_str::<String>(raw.get()).is_ok_and(|decoded| decoded == name)
}

/// Whether the JSON string `raw` names the same column as [`METADATA_KEY`]: Snowflake matches names to columns without regard
/// to case, so a member of another case would compete with the metadata for one column.
fn is_metadata_column(raw: &RawValue) -> bool {
    let text = raw.get();
    if text.len() == METADATA_KEY.len() + 2 && text.is_ascii() {
        return text[1..=METADATA_KEY.len()].eq_ignore_ascii_case(METADATA_KEY);
    }
    if text.is_ascii() && !text.contains('\\') {
        return false;
    }
    // Escapes, and letters beyond ASCII whose upper case lies in it, may spell the same name.
    serde_json::from_str::<String>(text).is_ok_and(|name| name.to_uppercase() == METADATA_KEY.to_uppercase())
}

struct MemberScan {
    base: usize,
}

impl MemberScan {
    fn range(&self, raw: &RawValue) -> Range<usize> {
        let start = raw.get().as_ptr().addr() - self.base;
        start..start + raw.get().len()
    }
}

impl<'de> Visitor<'de> for MemberScan {
    type Value = (bool, Vec<Range<usize>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cuts: Vec<Range<usize>> = Vec::new();
        let mut kept = false;
        let mut previous_end = None;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let key_start = self.range(key).start;
            let ours = is_metadata_column(key);
            let value_end = self.range(map.next_value::<&RawValue>()?).end;
            if ours {
                // From the end of the member before, so that the comma between the two goes as well.
                cuts.push(previous_end.unwrap_or(key_start)..value_end);
            } else {
                if let (false, Some(leading)) = (kept, cuts.last_mut()) {
                    // Nothing is left before this member, so the comma before it must go, too.
                    leading.end = key_start;
                }
                kept = true;
            }
            previous_end = Some(value_end);
        }
        Ok((kept, cuts))
    }
}
