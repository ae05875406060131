//! Settings as they cross the boundary: name, value, name, value, …

use std::collections::BTreeMap;

use crate::error::Error;

/// Makes a map of pairs. A value that is null is absent; of a repeated name the last value counts.
pub(crate) fn to_map(words: Vec<Option<String>>) -> Result<BTreeMap<String, String>, Error> {
    let mut map = BTreeMap::new();
    let mut words = words.into_iter();
    while let Some(name) = words.next() {
        let Some(value) = words.next() else {
            return Err(Error::Argument("settings are not pairs of name and value".to_owned()));
        };
        let name = name.ok_or_else(|| Error::Argument("a setting has no name".to_owned()))?;
        if let Some(value) = value {
            map.insert(name, value);
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[Option<&str>]) -> Vec<Option<String>> {
        texts.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn absent_values_are_left_out_and_the_last_of_a_name_counts() {
        let map = to_map(words(&[
            Some("a"),
            Some("1"),
            Some("b"),
            None,
            Some("a"),
            Some(""),
            Some("c"),
            Some("x\0y"),
        ]))
        .unwrap();
        assert_eq!(map.len(), 2);
        assert_eq!(map["a"], "");
        assert_eq!(map["c"], "x\0y");
        assert!(to_map(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_pair_is_refused_without_telling_the_value() {
        for broken in
            [words(&[Some("a")]), words(&[None, Some("secret")]), words(&[Some("a"), Some("b"), Some("c")])]
        {
            let error = to_map(broken).unwrap_err();
            assert_eq!(error.code(), 1);
            assert!(!error.to_string().contains("secret"));
        }
    }
}
