//! The fenced blocks, in their order, as a user carries them out.

use snowpipe::State;

use crate::book::{self, Block};
use crate::world::{Destination, Outcome, World, policies};

/// What the blocks so far have shown.
struct Reader {
    world: World,
    /// Result of the last query, as a terminal shows it.
    result: String,
    /// Why the last payload became no row.
    reason: String,
    /// What differs from the guide: line, and the text that should be there.
    wrong: Vec<(usize, String)>,
}

impl Reader {
    async fn step(&mut self, block: &Block) {
        match (block.word(0), block.word(1)) {
            ("sh", "run") => {
                self.world.shell(&block.text);
            }
            ("sql", "admin") => {
                self.world.admin(&block.text).await;
            }
            ("sql", "connector") => {
                let result = self.world.connector_sql(&block.text).await;
                self.result = result.unwrap_or_else(|error| panic!("line {}: {error}", block.line));
            }
            ("json", "message") => self.message(block).await,
            ("text", "not-a-row") => self.not_a_row(block).await,
            ("text", "result") => self.same(block, self.result.clone()),
            ("text", "reason") => self.same(block, self.reason.clone()),
            ("json", "policy") | ("properties", "") => {}
            _ => panic!("line {}: nothing checks a block of this kind: {:?}", block.line, block.words),
        }
    }

    fn same(&mut self, block: &Block, found: String) {
        if block.text != found {
            self.wrong.push((block.line, found));
        }
    }

    async fn carry(&self, block: &Block, messages: &[&str]) -> Outcome {
        let is_pipe = block.words.iter().any(|word| word == "pipe");
        let destination = Destination { name: block.word(2).to_owned(), is_pipe };
        self.world.allow(&policies()["no-migration"], &destination);
        self.world.carry(&destination, messages, "SHARED_THROUGHPUT").await
    }

    async fn message(&mut self, block: &Block) {
        let messages: Vec<&str> = block.text.lines().collect();
        let outcome = self.carry(block, &messages).await;
        assert!(outcome.rejected.is_empty(), "line {}", block.line);
        for file in &outcome.published {
            let said = file.progress.message.as_deref().unwrap_or_default();
            match block.words.iter().any(|word| word == "invalid") {
                true => {
                    assert_eq!(
                        (file.progress.state, file.progress.row_errors),
                        (State::Invalid, 1),
                        "{said}"
                    );
                    assert!(said.contains("Snowflake rejected 1 row(s)"), "{said}");
                }
                false => assert_eq!(file.progress.state, State::Committed, "line {}: {said}", block.line),
            }
        }
    }

    async fn not_a_row(&mut self, block: &Block) {
        let outcome = self.carry(block, &[&block.text]).await;
        let [rejected] = outcome.rejected.as_slice() else { panic!("line {}: it is a row", block.line) };
        assert_eq!(rejected.content, block.text.as_bytes(), "byte for byte");
        let reason = e2e::attribute(&rejected.attributes, "record.error.message");
        self.reason = reason.unwrap().to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_command_and_example_of_the_guide_does_what_it_says() {
    let (world, result, reason) = (World::start().await, String::new(), String::new());
    let mut reader = Reader { world, result, reason, wrong: Vec::new() };
    let blocks = book::blocks(&book::text());
    assert!(blocks.len() > 30, "the guide was read");
    for block in &blocks {
        reader.step(block).await;
    }
    let wrong: String =
        reader.wrong.iter().map(|(line, found)| format!("line {line} should be:\n{found}\n\n")).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(reader.world.cloud.snowflake().violations().is_empty());
    let after = reader.world.connector_sql("SELECT 1").await;
    assert!(after.is_err(), "the uninstalled user can log in");
    reader.world.cloud.stop().await;
}
