//! The results of `bench publish` in words and tables.

use super::commits;
use super::compression;
use super::document::table;
use super::publish::{Repetition, Results, Run};
use super::stats::Spread;

/// One repetition in a line.
pub fn line(one: &Repetition) -> String {
    let run = |name: &str, run: &Run| {
        format!("{name} {:.0} MB/s, {:.2} CPU-s/GB", run.mb_per_second, run.cpu_per_gb)
    };
    format!(
        "{} channels, {} ms: {}; {}; {}; {}",
        one.channels,
        one.delay_ms,
        run("NiFi", &one.nifi),
        run("client (dicts)", &one.dicts),
        run("client (bytes)", &one.bytes),
        run("floor", &one.floor)
    )
}

/// The part of the document.
pub fn document(results: &Results) -> String {
    let mut parts = vec![
        "## Writing: PublishSnowpipeStreaming in a real NiFi".to_owned(),
        format!("`./dev bench publish`. {}", results.machine),
        format!(
            "Rows of {:.0} bytes on average (orders with their metadata), published by the delivered flow's processor \
             from a queue that ConsumeKinesis had filled before and that is not counted; NiFi's CPU is that of its whole \
             process meanwhile. The local Snowflake takes bodies and drops them, in a process of its own, and answers \
             every call after the given delay. For these runs the processor is told to leave out its own pace of 10 \
             requests and 20 MB a second and channel (`SHARDFLOW_CHANNEL_PACE=off`), which the others do not keep \
             either. *Client* is Snowflake's own (PyPI `snowpipe-streaming` 1.9.1), given rows as dicts or as bytes and \
             kept on the same calls; *floor* compresses ready rows (zstd 1 as it comes) and posts them, one request of a channel at a \
             time, the next body being compressed meanwhile; its bodies are as large as the connector's, 6 MiB of rows \
             and 16 MiB from 50 ms on. NiFi's part includes the start of the processor, login and opening; the client's \
             and the floor's do not. MB/s are of uncompressed rows between the first and the \
             last arrival at the server, without the first body of each channel, which was made before; median [lowest–highest] of the repetitions; ratios are taken within one. All \
             processes share the cores.",
            results.row_bytes
        ),
        throughput(results),
    ];
    if !results.singles.is_empty() {
        parts.push("### Delays of single rows".to_owned());
        parts.push(format!(
            "{} rows a second in all at random times, to one channel after the other; commits at once. Append to arrival: \
             from the row being ready (ConsumeKinesis' FlowFile; the call of the client's `append_rows`) to the append \
             arriving at the server. Commit to success: from then, when the commit can be seen, to the FlowFile's \
             success (the time of the session's commit), or to the client's own view of the token moving. *Client* is \
             Snowflake's; milliseconds.",
            commits::PER_SECOND
        ));
        parts.push(delays(results));
    }
    parts.push("### Compression".to_owned());
    parts.push(
        "Bodies of 6 MB of rows with metadata, zstd on one thread with the connector's window of 128 KiB; MB/s are \
         uncompressed. The processor's default is level 1."
            .to_owned(),
    );
    parts.push(compression::shown(&results.compression));
    parts.push("### Targets".to_owned());
    parts.push(targets(results));
    parts.join("\n\n")
}

fn throughput(results: &Results) -> String {
    let head = [
        "channels",
        "answer after",
        "NiFi: rows/s",
        "MB/s",
        "CPU-s/GB",
        "client, dicts: MB/s",
        "CPU-s/GB",
        "client, bytes: MB/s",
        "CPU-s/GB",
        "floor: MB/s",
        "CPU-s/GB",
        "MB/s, NiFi : client (bytes)",
        "MB/s, NiFi : floor",
        "CPU, NiFi : floor",
    ];
    let rows = kinds(results).into_iter().map(|kind| {
        let of = |value: fn(&Repetition) -> f64| spread(results, kind, value);
        vec![
            kind.0.to_string(),
            format!("{} ms", kind.1),
            of(|r| r.nifi.rows_per_second).shown(0),
            of(|r| r.nifi.mb_per_second).shown(0),
            of(|r| r.nifi.cpu_per_gb).shown(2),
            of(|r| r.dicts.mb_per_second).shown(0),
            of(|r| r.dicts.cpu_per_gb).shown(2),
            of(|r| r.bytes.mb_per_second).shown(0),
            of(|r| r.bytes.cpu_per_gb).shown(2),
            of(|r| r.floor.mb_per_second).shown(0),
            of(|r| r.floor.cpu_per_gb).shown(2),
            of(|r| r.nifi.mb_per_second / r.bytes.mb_per_second).shown(2),
            of(|r| r.nifi.mb_per_second / r.floor.mb_per_second).shown(2),
            of(|r| r.nifi.cpu_per_gb / r.floor.cpu_per_gb).shown(2),
        ]
    });
    table(&head, &rows.collect::<Vec<_>>())
}

fn delays(results: &Results) -> String {
    let head = [
        "channels",
        "answer after",
        "NiFi: append to arrival, p50",
        "p99",
        "commit to success, p50",
        "p99",
        "status calls/s",
        "client: append to arrival, p50",
        "p99",
        "commit to success, p50",
        "p99",
        "status calls/s",
    ];
    let cells = |delays: Option<commits::Delays>| match delays {
        Some(d) => {
            let ms = |value: f64| format!("{value:.0}");
            let calls = format!("{:.2}", d.status_calls);
            [ms(d.append_p50), ms(d.append_p99), ms(d.success_p50), ms(d.success_p99), calls]
        }
        None => std::array::from_fn(|_| "-".to_owned()),
    };
    let row = |single: &commits::Single| {
        let case = [single.channels.to_string(), format!("{} ms", single.delay_ms)];
        case.into_iter().chain(cells(single.nifi)).chain(cells(single.client)).collect()
    };
    table(&head, &results.singles.iter().map(row).collect::<Vec<Vec<String>>>())
}

fn targets(results: &Results) -> String {
    let mut rows = Vec::new();
    for kind in kinds(results) {
        let (channels, delay) = kind;
        let rate = spread(results, kind, |r| r.nifi.mb_per_second / r.floor.mb_per_second);
        let cpu = spread(results, kind, |r| r.nifi.cpu_per_gb / r.floor.cpu_per_gb);
        let at = format!("{channels} channels, {delay} ms");
        rows.push(target(&format!("≥ 0.7 × the floor's MB/s, {at}"), &rate.shown(2), rate.median >= 0.7));
        rows.push(target(&format!("≤ 1.3 × its CPU a GB, {at}"), &cpu.shown(2), cpu.median <= 1.3));
        if kind == (1, 100) {
            let faster = spread(results, kind, |r| r.nifi.mb_per_second / r.bytes.mb_per_second);
            rows.push(target(
                &format!("≥ 3 × the client's MB/s, {at}"),
                &faster.shown(2),
                faster.median >= 3.0,
            ));
        }
    }
    for single in &results.singles {
        rows.extend(targets_of_single_rows(single));
    }
    table(&["target", "measured", ""], &rows)
}

fn targets_of_single_rows(single: &commits::Single) -> Vec<Vec<String>> {
    let Some(d) = single.nifi else { return Vec::new() };
    let at = format!("{} channels, {} ms", single.channels, single.delay_ms);
    let ms = |value: f64| format!("{value:.0} ms");
    let mut rows = vec![
        target(&format!("append to arrival p99 ≤ 50 ms, {at}"), &ms(d.append_p99), d.append_p99 <= 50.0),
        target(
            &format!("visible commit to success p99 ≤ 120 ms, {at}"),
            &ms(d.success_p99),
            d.success_p99 <= 120.0,
        ),
    ];
    if let Some(client) = single.client {
        let calls = format!("{:.2}/s, the client {:.2}/s", d.status_calls, client.status_calls);
        let fewer = d.status_calls <= client.status_calls;
        rows.push(target(&format!("no more status calls than the client, {at}"), &calls, fewer));
    }
    rows
}

fn target(name: &str, measured: &str, met: bool) -> Vec<String> {
    vec![name.to_owned(), measured.to_owned(), if met { "met" } else { "**missed**" }.to_owned()]
}

fn spread(results: &Results, kind: (u32, u64), value: fn(&Repetition) -> f64) -> Spread {
    Spread::of(results.repetitions.iter().filter(|r| (r.channels, r.delay_ms) == kind).map(value))
}

/// Channels and delays in order.
fn kinds(results: &Results) -> Vec<(u32, u64)> {
    let mut kinds: Vec<_> = results.repetitions.iter().map(|r| (r.channels, r.delay_ms)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_compares_within_a_repetition() {
        let run = |mb_per_second, cpu_per_gb| Run { mb_per_second, rows_per_second: 1.0, cpu_per_gb };
        let one = |nifi, floor| Repetition {
            channels: 1,
            delay_ms: 100,
            nifi: run(nifi, 4.0),
            dicts: run(20.0, 9.0),
            bytes: run(25.0, 8.0),
            floor: run(floor, 4.0),
        };
        let delays = commits::Delays {
            rows: 300,
            append_p50: 6.0,
            append_p99: 11.0,
            success_p50: 50.0,
            success_p99: 110.0,
            status_calls: 1.5,
        };
        let results = Results {
            machine: "here, today.".to_owned(),
            row_bytes: 1_000.0,
            repetitions: vec![one(50.0, 100.0), one(100.0, 100.0)],
            singles: vec![commits::Single { channels: 4, delay_ms: 20, nifi: Some(delays), client: None }],
            compression: Vec::new(),
        };
        let text = document(&results);
        let single = "| 6                            | 11  | 50";
        for expected in ["0.75 [0.50–1.00]", "3.00 [2.00–4.00]", "1.00 [1.00–1.00]", single] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert_eq!((text.matches("| met").count(), text.contains("missed")), (5, false));
    }
}
