//! Frames of `application/vnd.amazon.eventstream`: two lengths, CRC, headers, payload, CRC.

pub fn event(kind: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", kind), (":content-type", content_type)], payload)
}

pub fn exception(kind: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    frame(
        &[(":message-type", "exception"), (":exception-type", kind), (":content-type", content_type)],
        payload,
    )
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.push(u8::try_from(name.len()).unwrap());
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(STRING);
        encoded.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + encoded.len() + payload.len()).unwrap();
    let mut out = Vec::new();
    out.extend(total.to_be_bytes());
    out.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(encoded);
    out.extend_from_slice(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}
