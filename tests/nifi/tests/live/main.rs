//! The connector in a real NiFi against the local cloud.
//!
//! A NiFi takes a quarter of a minute to start, so one serves all scenarios that need nothing special of it. The runner
//! prints what Rust's own would.

mod configuration;
mod faults;
mod flow;
mod identity;
mod nodes;
mod platforms;
mod providers;
mod records;
mod rejected;
mod rotation;
mod runner;
mod services;
mod strategies;
mod terminated;
mod world;

use std::process::ExitCode;

use runner::{Runner, scenario};
use world::World;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut runner = Runner::new();
    runner.add(vec![
        scenario!(flow::the_definition_fits_the_processors),
        scenario!(flow::both_processors_are_documented),
        scenario!(records::every_record_arrives_once_and_verify_agrees),
        scenario!(records::stop_and_start_lose_and_repeat_nothing),
        scenario!(terminated::terminated_under_load_nothing_is_lost_or_repeated),
        scenario!(rejected::only_the_rejected_rows_are_invalid_and_what_is_no_row_can_be_kept),
        scenario!(strategies::every_strategy_gives_upstream_s_content_and_attributes),
    ]);
    runner.add_concurrent(vec![
        scenario!(configuration::no_such_stream),
        scenario!(configuration::wrong_secret),
        scenario!(configuration::no_such_table),
        scenario!(configuration::wrong_private_key),
        scenario!(configuration::unreachable_hosts),
        scenario!(configuration::hosts_that_never_answer),
    ]);
    runner.add(vec![
        scenario!(identity::short_tokens_of_a_service_and_a_proxy_with_a_login),
        scenario!(providers::parameters_of_a_provider_and_a_rotation),
        scenario!(rotation::a_key_is_replaced_while_records_flow),
        scenario!(faults::connections_cut_at_random_for_half_a_minute),
        scenario!(faults::killed_three_times_in_mid_flow),
        scenario!(faults::killed_anywhere_between_ambiguous_answers),
        scenario!(nodes::a_dead_node_s_queue_is_waited_for),
        scenario!(platforms::java_21),
        scenario!(platforms::newest_api_and_an_uploaded_nar),
    ]);
    runner.run(World::start).await
}
