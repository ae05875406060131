//! Functions on semi-structured values.

use super::typed::Typed;
use crate::catalog::DataType;

pub(super) fn translate(name: &str, args: &[Typed]) -> Option<Typed> {
    let sql = |at: usize| args.get(at).map_or("NULL".to_owned(), |arg| arg.sql.clone());
    let text = |at: usize| args.get(at).cloned().map_or("NULL".to_owned(), Typed::into_text);
    Some(match (name, args.len()) {
        ("PARSE_JSON", 1) => Typed::variant(format!("sf_parse_json({})", text(0))),
        ("TRY_PARSE_JSON", 1) => Typed::variant(format!("sf_try_parse_json({})", text(0))),
        ("TO_JSON", 1) => {
            Typed::text(format!("sf_canonical({})", args[0].clone().cast(&DataType::Variant).sql))
        }
        ("GET", 2) => Typed::variant(format!("sf_get({}, {})", sql(0), sql(1))),
        ("GET_PATH", 2) => Typed::variant(format!("sf_get_path({}, {})", sql(0), text(1))),
        ("TYPEOF", 1) => Typed::text(format!("sf_typeof({})", args[0].clone().cast(&DataType::Variant).sql)),
        ("ARRAY_SIZE", 1) => Typed::integer(format!("sf_array_size({})", sql(0))),
        ("OBJECT_KEYS", 1) => Typed::new(format!("sf_object_keys({})", sql(0)), DataType::Array(None)),
        ("IS_NULL_VALUE", 1) => Typed::boolean(format!("sf_is_null_value({})", sql(0))),
        ("OBJECT_CONSTRUCT", _) => {
            let pairs = args.chunks_exact(2).map(|pair| {
                format!("{}, {}, {}", pair[0].clone().into_text(), pair[1].sql, pair[1].type_literal())
            });
            let list: Vec<String> = pairs.collect();
            Typed::new(format!("sf_object({})", list.join(", ")), DataType::Object(Vec::new()))
        }
        ("ARRAY_CONSTRUCT", _) => {
            let list: Vec<String> =
                args.iter().map(|arg| format!("{}, {}", arg.sql, arg.type_literal())).collect();
            Typed::new(format!("sf_array({})", list.join(", ")), DataType::Array(None))
        }
        _ => return None,
    })
}
