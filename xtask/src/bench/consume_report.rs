//! The results of `bench consume` in words and tables.

use super::consume::{ConsumerType, PAYLOAD, Repetition, Results};
use super::document::table;
use super::stats::Spread;
use super::trickle;

/// One repetition in a line.
pub fn line(one: &Repetition) -> String {
    format!(
        "{} {} shards: {:.0} MB/s, {:.2} CPU-s/GB (AWS SDK loop {:.0} MB/s, {:.2}; bare loop {:.0} MB/s, {:.2}; local \
         cloud {:.2})",
        one.consumer_type.shown(),
        one.shards,
        one.mb_per_second,
        one.cpu_per_gb,
        one.sdk.rate(),
        one.sdk.cpu_per_gb(),
        one.bare.rate(),
        one.bare.cpu_per_gb(),
        one.cloud_cpu_per_gb
    )
}

/// The part of the document.
pub fn document(results: &Results, seconds: f64) -> String {
    let mut parts = vec![
        "## Reading: ConsumeKinesis in a real NiFi".to_owned(),
        format!("`./dev bench consume`. {}", results.machine),
        format!(
            "Records of {PAYLOAD} bytes (JSON, 15 members, some nested), an endless backlog computed by the local cloud \
             in a process of its own, no quotas (for these runs the processor is told to leave out its own pace of 5 calls and 2 MB a second and shard, `SHARDFLOW_READ_PACE=off`). Otherwise it has the delivered flow's settings (Inject \
             Metadata, one task); what it emits is dropped by NiFi. {seconds} s a measurement after a warm-up; median \
             [lowest–highest] of the repetitions. GB is 10⁹ bytes of payload; CPU is that of NiFi's process, user and \
             system. The loops run right before NiFi in each repetition: *AWS SDK* reads with the AWS SDK for \
             Rust as it comes (JSON) and drops the payloads, *bare* does signed HTTP requests and walks over the CBOR \
             answer (always by polling). Ratios are taken within a repetition. All processes share the cores, so \
             compare ratios, not MB/s of different machines. The page cache is filled with a file of no use before each \
             run of NiFi: memory that is free goes back to the host of a virtual machine, which takes as long to give it \
             again as NiFi takes for all the rest, and a machine that has been in use has little of it."
        ),
        throughput(results),
    ];
    if !results.trickles.is_empty() {
        parts.push("### From arrival to FlowFile at a trickle".to_owned());
        parts.push(format!(
            "{} records a second at random times on {} shards. From the moment a record could be read to the moment \
             NiFi's session with its FlowFile was committed (the time of the provenance event made there), for each \
             record. Cores are those of NiFi in excess of the same NiFi without the processor. A first trickle, in which the JVM \
             compiles, is not counted, nor are the records of the first four seconds: they find shards that have been idle, and \
             the first record of an idle shard may wait a second when it is polled.",
            trickle::PER_SECOND,
            trickle::SHARDS
        ));
        parts.push(latency(results));
    }
    if let Some(pacing) = &results.pacing {
        parts.push("### With the service's limits".to_owned());
        parts.push(format!("{}.", pacing.shown()));
    }
    parts.push("### Targets".to_owned());
    parts.push(targets(results));
    parts.join("\n\n")
}

fn throughput(results: &Results) -> String {
    let head = [
        "consumer",
        "shards",
        "records/s",
        "MB/s",
        "CPU-s/GB",
        "garbage collection",
        "AWS SDK loop: MB/s",
        "CPU-s/GB",
        "CPU, NiFi : AWS SDK",
        "bare loop: CPU-s/GB",
        "CPU, NiFi : bare",
        "local cloud, CPU-s/GB",
    ];
    let mut rows = Vec::new();
    for (consumer_type, shards) in kinds(results) {
        let of = |value: fn(&Repetition) -> f64| spread(results, consumer_type, shards, value);
        rows.push(vec![
            consumer_type.shown().to_owned(),
            shards.to_string(),
            of(|r| r.records_per_second).shown(0),
            of(|r| r.mb_per_second).shown(0),
            of(|r| r.cpu_per_gb).shown(2),
            format!("{} %", of(|r| r.collecting * 100.0).shown(1)),
            of(|r| r.sdk.rate()).shown(0),
            of(|r| r.sdk.cpu_per_gb()).shown(2),
            of(|r| r.cpu_per_gb / r.sdk.cpu_per_gb()).shown(2),
            of(|r| r.bare.cpu_per_gb()).shown(2),
            of(|r| r.cpu_per_gb / r.bare.cpu_per_gb()).shown(2),
            of(|r| r.cloud_cpu_per_gb).shown(2),
        ]);
    }
    table(&head, &rows)
}

fn latency(results: &Results) -> String {
    let head = ["consumer", "records", "p50", "p99", "max", "cores", "idle NiFi, cores"];
    let rows = results.trickles.iter().map(|t| {
        vec![
            t.consumer_type.shown().to_owned(),
            t.records.to_string(),
            format!("{:.0} ms", t.p50),
            format!("{:.0} ms", t.p99),
            format!("{:.0} ms", t.max),
            format!("{:.3}", t.cores),
            format!("{:.3}", t.idle_cores),
        ]
    });
    table(&head, &rows.collect::<Vec<_>>())
}

/// Each target with what was measured.
fn targets(results: &Results) -> String {
    let mut rows = Vec::new();
    for (consumer_type, shards) in kinds(results) {
        let ratio = spread(results, consumer_type, shards, |r| r.cpu_per_gb / r.sdk.cpu_per_gb());
        rows.push(target(
            format!("CPU a GB ≤ the AWS SDK loop's, {}, {shards} shards", consumer_type.shown()),
            format!("{} ×", ratio.shown(2)),
            ratio.median <= 1.0,
        ));
        if shards == 16 {
            let rate = spread(results, consumer_type, shards, |r| r.mb_per_second);
            let name = format!("≥ 100 MB/s with 16 shards, {}", consumer_type.shown());
            rows.push(target(name, format!("{} MB/s", rate.shown(0)), rate.median >= 100.0));
        }
    }
    for t in &results.trickles {
        let most = if t.consumer_type == ConsumerType::Polling { 350.0 } else { 120.0 };
        let name = format!("p99 ≤ {most:.0} ms at a trickle, {}", t.consumer_type.shown());
        rows.push(target(name, format!("{:.0} ms", t.p99), t.p99 <= most));
        let name = format!("less than a tenth of a core meanwhile, {}", t.consumer_type.shown());
        rows.push(target(name, format!("{:.3} cores", t.cores), t.cores < 0.1));
    }
    if let Some(p) = &results.pacing {
        let share = format!("{:.1} %", p.share * 100.0);
        rows.push(target("≥ 98 % of 2 MB/s a shard with limits".to_owned(), share, p.share >= 0.98));
        let throttled = format!("{:.2} %", p.throttled * 100.0);
        rows.push(target("< 1 % of calls throttled".to_owned(), throttled, p.throttled < 0.01));
    }
    table(&["target", "measured", ""], &rows)
}

fn target(name: String, measured: String, met: bool) -> Vec<String> {
    vec![name, measured, if met { "met" } else { "**missed**" }.to_owned()]
}

fn spread(
    results: &Results,
    consumer_type: ConsumerType,
    shards: u32,
    value: fn(&Repetition) -> f64,
) -> Spread {
    let same = results.repetitions.iter().filter(|r| r.consumer_type == consumer_type && r.shards == shards);
    Spread::of(same.map(value))
}

/// Consumer types and numbers of shards in the order measured.
fn kinds(results: &Results) -> Vec<(ConsumerType, u32)> {
    let mut kinds = Vec::new();
    for r in &results.repetitions {
        if !kinds.contains(&(r.consumer_type, r.shards)) {
            kinds.push((r.consumer_type, r.shards));
        }
    }
    kinds.sort_by_key(|(consumer_type, shards)| (*consumer_type == ConsumerType::FanOut, *shards));
    kinds
}

#[cfg(test)]
mod tests {
    use super::super::pacing::Pacing;
    use super::super::peer::Measured;
    use super::*;

    #[test]
    fn the_document_says_which_targets_are_missed() {
        let measured =
            |cpu_seconds| Measured { records: 1, bytes: 1_000_000_000, seconds: 10.0, cpu_seconds };
        let one = |cpu_per_gb| Repetition {
            shards: 16,
            consumer_type: ConsumerType::Polling,
            records_per_second: 120_000.0,
            mb_per_second: 120.0,
            cpu_per_gb,
            collecting: 0.012,
            cloud_cpu_per_gb: 2.0,
            sdk: measured(4.0),
            bare: measured(1.0),
        };
        let results = Results {
            machine: "here, today.".to_owned(),
            repetitions: vec![one(3.0), one(5.0), one(3.2)],
            trickles: Vec::new(),
            pacing: Some(Pacing { share: 0.9, calls_per_second: 2.0, throttled: 0.0, cores: 0.2 }),
        };
        let text = document(&results, 5.0);
        for expected in ["3.20 [3.00–5.00]", "0.80 [0.75–1.25]", "1.2 [1.2–1.2] %", "3.20 [3.00–5.00]"]
        {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        let verdicts = text.lines().filter(|line| line.contains("| met")).count();
        assert_eq!((verdicts, text.matches("**missed**").count()), (3, 1));
    }
}
