//! The native methods of `io.shardflow.nifi.bridge.Native`, in the order of its declaration.

use std::cell::RefCell;
use std::time::Duration;

use jni::objects::{JByteArray, JClass, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, NativeMethod, native_method};

use crate::bytes_view::{signed, signed_mut};
use crate::error::Error;
use crate::registry::registry;
use crate::throw::Throw;
use crate::types::{self, Outcome, PartHeader};
use crate::{ABI_VERSION, classes, command, logging, pairs, testing};

/// No call waits longer for data, so that Java can look for its thread's interruption.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// `length` of a `write` that ends the content of an upload.
const END_OF_DATA: jint = -1;
/// What `read` answers at the end of a part.
const END_OF_PART: jint = -1;

macro_rules! native {
    ($($signature:tt)*) => {
        native_method! {
            java_type = io.shardflow.nifi.bridge.Native,
            error_policy = Throw,
            type_map = {
                PartHeader => io.shardflow.nifi.bridge.PartHeader,
                Outcome => io.shardflow.nifi.bridge.Outcome,
            },
            static extern fn $($signature)*,
        }
    };
}

/// Naming the methods here exports their symbols, by which the JVM finds them.
const _: [NativeMethod; 14] = [
    native!(abi_version() -> jint),
    native!(init(settings: JString[]) -> void),
    native!(drain_logs(buffer: jbyte[]) -> jint),
    native!(open_source(config: JString[]) -> jlong),
    native!(open_sink(config: JString[]) -> jlong),
    native!(poll(source: jlong, wait_millis: jlong) -> PartHeader[]),
    native!(read(source: jlong, batch: jlong, part: jint, position: jlong, buffer: jbyte[], offset: jint, length: jint) -> jint),
    native!(settle(source: jlong, batch: jlong, committed: jboolean) -> void),
    native!(begin(sink: jlong, upload: JString[]) -> jlong),
    native!(advance(sink: jlong, upload: jlong, wait_millis: jlong) -> Outcome),
    native!(write(sink: jlong, upload: jlong, buffer: jbyte[], offset: jint, length: jint) -> void),
    native!(status(handle: jlong) -> jbyte[]),
    native!(control(handle: jlong, command: JString[]) -> JString[]),
    native!(close(handle: jlong, grace_millis: jlong) -> void),
];

type Texts<'local> = JObjectArray<'local, JString<'local>>;

fn enter(env: &mut Env<'_>, class: &JClass<'_>, function: &str) -> Result<(), Error> {
    classes::bind(env, class)?;
    testing::trip(function);
    Ok(())
}

fn millis(millis: jlong) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn wait(wait_millis: jlong) -> Duration {
    millis(wait_millis).min(LONGEST_WAIT)
}

/// Binds no types: a jar of another version may lack them, and is to be told so by its own check of the number.
fn abi_version<'local>(_env: &mut Env<'local>, _class: JClass<'local>) -> Result<jint, Error> {
    testing::trip("abiVersion");
    Ok(ABI_VERSION)
}

fn init<'local>(env: &mut Env<'local>, class: JClass<'local>, settings: Texts<'local>) -> Result<(), Error> {
    enter(env, &class, "init")?;
    let settings = pairs::to_map(types::texts(env, &settings)?)?;
    if let Some(workers) = settings.get("worker-threads").and_then(|text| text.trim().parse().ok()) {
        registry().runtime().set_workers(workers);
    }
    logging::init(&settings);
    Ok(())
}

fn drain_logs<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    buffer: JByteArray<'local>,
) -> Result<jint, Error> {
    enter(env, &class, "drainLogs")?;
    let lines = logging::ring().drain(buffer.len(env)?);
    buffer.set_region(env, 0, signed(&lines))?;
    count(lines.len())
}

fn open_source<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    config: Texts<'local>,
) -> Result<jlong, Error> {
    enter(env, &class, "openSource")?;
    let properties = pairs::to_map(types::texts(env, &config)?)?;
    registry().open_source(kinesis::SourceConfig::from_properties(&properties)?)
}

fn open_sink<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    config: Texts<'local>,
) -> Result<jlong, Error> {
    enter(env, &class, "openSink")?;
    let properties = pairs::to_map(types::texts(env, &config)?)?;
    registry().open_sink(snowpipe::SinkConfig::from_properties(&properties)?)
}

fn poll<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    source: jlong,
    wait_millis: jlong,
) -> Result<JObjectArray<'local, PartHeader<'local>>, Error> {
    enter(env, &class, "poll")?;
    match registry().source(source)?.poll(wait(wait_millis))? {
        Some(batch) => types::headers(env, &batch),
        None => Ok(JObjectArray::<PartHeader<'_>>::null()),
    }
}

#[expect(clippy::too_many_arguments, reason = "the signature of the Java method")]
fn read<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    source: jlong,
    batch: jlong,
    part: jint,
    position: jlong,
    buffer: JByteArray<'local>,
    offset: jint,
    length: jint,
) -> Result<jint, Error> {
    enter(env, &class, "read")?;
    let room = checked_length(env, &buffer, offset, length)?;
    let content = registry().source(source)?.value.slice(batch, part, position, room)?;
    if content.is_empty() && room > 0 {
        return Ok(END_OF_PART);
    }
    buffer.set_region(env, offset, signed(&content))?;
    count(content.len())
}

fn settle<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    source: jlong,
    batch: jlong,
    committed: jboolean,
) -> Result<(), Error> {
    enter(env, &class, "settle")?;
    registry().source(source)?.settle(batch, committed)
}

fn begin<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    sink: jlong,
    upload: Texts<'local>,
) -> Result<jlong, Error> {
    enter(env, &class, "begin")?;
    let properties = pairs::to_map(types::texts(env, &upload)?)?;
    registry().sink(sink)?.begin(&properties)
}

fn advance<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    sink: jlong,
    upload: jlong,
    wait_millis: jlong,
) -> Result<Outcome<'local>, Error> {
    enter(env, &class, "advance")?;
    let progress = registry().sink(sink)?.advance(upload, wait(wait_millis))?;
    types::outcome(env, &progress)
}

fn write<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    sink: jlong,
    upload: jlong,
    buffer: JByteArray<'local>,
    offset: jint,
    length: jint,
) -> Result<(), Error> {
    enter(env, &class, "write")?;
    let sink = registry().sink(sink)?;
    if length == END_OF_DATA {
        return sink.write(upload, None);
    }
    let length = checked_length(env, &buffer, offset, length)?;
    // NiFi's threads stay and call again, so the memory is kept by thread.
    thread_local! { static CONTENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) } }
    CONTENT.with_borrow_mut(|content| {
        content.resize(length, 0);
        buffer.get_region(env, offset, signed_mut(content))?;
        sink.write(upload, Some(content))
    })
}

fn status<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    handle: jlong,
) -> Result<JByteArray<'local>, Error> {
    enter(env, &class, "status")?;
    Ok(env.byte_array_from_slice(&command::status(registry(), handle)?)?)
}

fn control<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    handle: jlong,
    command: Texts<'local>,
) -> Result<Texts<'local>, Error> {
    enter(env, &class, "control")?;
    let words = types::texts(env, &command)?;
    let answer = command::run(registry(), handle, words)?;
    types::text_array(env, &answer)
}

fn close<'local>(
    env: &mut Env<'local>,
    class: JClass<'local>,
    handle: jlong,
    grace_millis: jlong,
) -> Result<(), Error> {
    enter(env, &class, "close")?;
    command::close(registry(), handle, millis(grace_millis));
    Ok(())
}

/// `length`, when `offset` and `length` lie within the array.
fn checked_length(
    env: &Env<'_>,
    buffer: &JByteArray<'_>,
    offset: jint,
    length: jint,
) -> Result<usize, Error> {
    let capacity = buffer.len(env)?;
    let range = || Error::Range { offset, length, capacity };
    let start = usize::try_from(offset).map_err(|_| range())?;
    let room = usize::try_from(length).map_err(|_| range())?;
    if start.checked_add(room).is_some_and(|end| end <= capacity) { Ok(room) } else { Err(range()) }
}

fn count(bytes: usize) -> Result<jint, Error> {
    jint::try_from(bytes).map_err(|_| Error::Argument(format!("{bytes} bytes are too many for one array")))
}
