//! A CBOR writer of its own, RFC 8949 section 3, so that the reader under test is not its own judge.

#[derive(Debug, Clone)]
pub enum Value {
    Uint(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    /// A byte string of indefinite length, in chunks.
    Chunks(Vec<Vec<u8>>),
    Text(String),
    TextChunks(Vec<String>),
    Array(Vec<Value>),
    OpenArray(Vec<Value>),
    Map(Vec<(Value, Value)>),
    OpenMap(Vec<(Value, Value)>),
    Tag(u64, Box<Value>),
    Bool(bool),
    Null,
    Undefined,
    F32(f32),
    F64(f64),
}

pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Vec<(Value, Value)> {
    members.into_iter().map(|(name, value)| (text(name), value)).collect()
}

pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(members(entries))
}

pub fn open_map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::OpenMap(members(entries))
}

const BREAK: u8 = 0xff;

impl Value {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(n) => head(out, 0, *n),
            Self::Negative(n) => head(out, 1, *n),
            Self::Bytes(b) => string(out, 2, b),
            Self::Chunks(chunks) => open(out, 0x5f, chunks, |out, c| string(out, 2, c)),
            Self::Text(t) => string(out, 3, t.as_bytes()),
            Self::TextChunks(chunks) => open(out, 0x7f, chunks, |out, c| string(out, 3, c.as_bytes())),
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::OpenArray(items) => open(out, 0x9f, items, |out, item| item.write(out)),
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                entries.iter().for_each(|entry| pair(out, entry));
            }
            Self::OpenMap(entries) => open(out, 0xbf, entries, pair),
            Self::Tag(tag, value) => {
                head(out, 6, *tag);
                value.write(out);
            }
            Self::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Self::Null => out.push(0xf6),
            Self::Undefined => out.push(0xf7),
            Self::F32(value) => {
                out.push(0xfa);
                out.extend(value.to_be_bytes());
            }
            Self::F64(value) => {
                out.push(0xfb);
                out.extend(value.to_be_bytes());
            }
        }
    }
}

fn pair(out: &mut Vec<u8>, (key, value): &(Value, Value)) {
    key.write(out);
    value.write(out);
}

fn open<T>(out: &mut Vec<u8>, first: u8, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(first);
    items.iter().for_each(|item| write(out, item));
    out.push(BREAK);
}

fn string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let major = major << 5;
    let bytes = n.to_be_bytes();
    match n {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend([major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend(bytes);
        }
    }
}
