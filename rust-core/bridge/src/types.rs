//! Java values out of ours, and ours out of Java's.

use jni::Env;
use jni::objects::{JObject, JObjectArray, JString, JValue};
use jni::strings::JNIString;
use jni::sys::jobjectArray;
use kinesis::{Batch, Part};
use snowpipe::Progress;

use crate::classes::classes;
use crate::error::Error;

pub(crate) use bound::{Outcome, PartHeader};

/// Names for the signatures of the native methods. What these types could look up and keep is never asked of them: see
/// `classes`.
mod bound {
    use jni::bind_java_type;

    bind_java_type! { pub(crate) PartHeader => io.shardflow.nifi.bridge.PartHeader }
    bind_java_type! { pub(crate) Outcome => io.shardflow.nifi.bridge.Outcome }
}

/// A count or a size as Java's `long`.
fn long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The texts of a `String[]`; null elements are `None`.
pub(crate) fn texts(
    env: &mut Env<'_>,
    array: &JObjectArray<'_, JString<'_>>,
) -> Result<Vec<Option<String>>, Error> {
    if array.is_null() {
        return Ok(Vec::new());
    }
    (0..array.len(env)?)
        .map(|index| {
            env.with_local_frame(1, |env| {
                let element = array.get_element(env, index)?;
                if element.is_null() { Ok(None) } else { text(env, &element).map(Some) }
            })
        })
        .collect()
}

/// A Java string, which must be text: half of a surrogate pair has no meaning outside of Java.
fn text(env: &Env<'_>, string: &JString<'_>) -> Result<String, Error> {
    let encoded = string.mutf8_chars(env)?;
    let text = encoded.to_str().into_owned();
    if JNIString::new(&text).to_bytes() == encoded.to_bytes() {
        return Ok(text);
    }
    Err(Error::Argument("a value holds half of a surrogate pair".to_owned()))
}

/// A `String[]`.
pub(crate) fn text_array<'local, T: AsRef<str>>(
    env: &mut Env<'local>,
    texts: &[T],
) -> Result<JObjectArray<'local, JString<'local>>, Error> {
    let array = JObjectArray::<JString<'_>>::new(env, texts.len(), JString::null())?;
    for (index, text) in texts.iter().enumerate() {
        env.with_local_frame(1, |env| -> Result<(), Error> {
            let element = JString::from_str(env, text)?;
            Ok(array.set_element(env, index, &element)?)
        })?;
    }
    Ok(array)
}

/// The headers of all parts of a batch.
pub(crate) fn headers<'local>(
    env: &mut Env<'local>,
    batch: &Batch,
) -> Result<JObjectArray<'local, PartHeader<'local>>, Error> {
    let class = classes()?.part_header.get(env)?;
    let length = i32::try_from(batch.parts.len());
    let length = length.map_err(|_| Error::Argument("a batch has too many parts".to_owned()))?;
    let array = env.new_object_array(length, &class, JObject::null())?;
    let mut crossed = Crossed::default();
    for (index, part) in batch.parts.iter().enumerate() {
        let header = header(env, batch.id, index, part, &mut crossed)?;
        array.set_element(env, index, &header)?;
        env.delete_local_ref(header);
    }
    crossed.forget(env);
    let array: jobjectArray = array.into_raw();
    // SAFETY: a local reference, given up in the line above, to an array whose class was named a few lines before.
    Ok(unsafe { JObjectArray::<PartHeader<'_>>::from_raw(env, array) })
}

/// The texts of the part before. Names of attributes, stream, shard and lineage are the same in every part of a batch,
/// so they cross once, and Java keeps them once.
#[derive(Default)]
struct Crossed<'batch, 'local>(Vec<(&'batch str, JString<'local>)>);

impl<'batch, 'local> Crossed<'batch, 'local> {
    /// Java's string of `text`, the one at `place` of a part.
    fn get(
        &mut self,
        env: &mut Env<'local>,
        place: usize,
        text: &'batch str,
    ) -> Result<&JString<'local>, Error> {
        while self.0.len() <= place {
            self.0.push(("", JString::from_str(env, "")?));
        }
        let slot = &mut self.0[place];
        if slot.0 != text {
            let old = std::mem::replace(slot, (text, JString::from_str(env, text)?));
            env.delete_local_ref(old.1);
        }
        Ok(&slot.1)
    }

    fn forget(self, env: &Env<'_>) {
        self.0.into_iter().for_each(|(_, string)| env.delete_local_ref(string));
    }
}

fn header<'batch, 'local>(
    env: &mut Env<'local>,
    batch: u64,
    index: usize,
    part: &'batch Part,
    crossed: &mut Crossed<'batch, 'local>,
) -> Result<JObject<'local>, Error> {
    let index = i32::try_from(index).map_err(|_| Error::Argument("a batch has too many parts".to_owned()))?;
    let texts = part.attributes.iter().flat_map(|(name, value)| [*name, value.as_str()]);
    let attributes = JObjectArray::<JString<'_>>::new(env, part.attributes.len() * 2, JString::null())?;
    for (at, text) in texts.enumerate() {
        let string = crossed.get(env, at + 1, text)?;
        attributes.set_element(env, at, string)?;
    }
    let transit_uri = crossed.get(env, 0, &part.transit_uri)?;
    let arguments = [
        JValue::Long(long(batch)),
        JValue::Int(index),
        JValue::Bool(part.failed),
        JValue::Long(long(part.content.len() as u64)),
        JValue::Long(long(part.records)),
        JValue::Object(transit_uri),
        JValue::Object(&attributes),
    ];
    let header = classes()?.part_header.build(env, &arguments)?;
    env.delete_local_ref(attributes);
    Ok(header)
}

/// State of an upload.
pub(crate) fn outcome<'local>(env: &mut Env<'local>, progress: &Progress) -> Result<Outcome<'local>, Error> {
    let message = match &progress.message {
        Some(text) => JString::from_str(env, text)?,
        None => JString::null(),
    };
    let transit_uri = JString::from_str(env, &progress.transit_uri)?;
    let arguments = [
        JValue::Int(progress.state.code()),
        JValue::Long(long(progress.rows_sent)),
        JValue::Long(long(progress.rows_skipped)),
        JValue::Long(long(progress.row_errors)),
        JValue::Object(&message),
        JValue::Object(&transit_uri),
    ];
    let outcome = classes()?.outcome.build(env, &arguments)?;
    // SAFETY: the object was made from the class of the outcome just now.
    Ok(unsafe { Outcome::from_raw(env, outcome.into_raw()) })
}
