/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.Finding;
import io.shardflow.nifi.bridge.Message;
import io.shardflow.nifi.bridge.NativeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.nifi.components.ConfigVerificationResult;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.provenance.ProvenanceEventType;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.MockProcessContext;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ConsumeKinesisTest {

    private static final byte[] ROWS = "{\"a\":1}\n{\"a\":2}\n".getBytes(StandardCharsets.UTF_8);

    private final FakeBridge bridge = new FakeBridge();
    private ConsumeKinesis processor;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        processor = new ConsumeKinesis(() -> bridge);
        runner = configured(processor);
    }

    /** A runner with what is required. */
    static TestRunner configured(final ConsumeKinesis processor) {
        final TestRunner runner = TestRunners.newTestRunner(processor);
        runner.setProperty(KinesisProperties.STREAM_NAME, "orders");
        runner.setProperty(KinesisProperties.APPLICATION_NAME, "app");
        runner.setProperty(KinesisProperties.REGION, "us-west-2");
        return runner;
    }

    @Test
    void whatTheCoreCountsIsCountedAlsoWithoutAnyRecord() {
        bridge.source.counters.put("EFO Deduplicated Events", 3L);
        runner.run();

        assertEquals(3, runner.getCounterValue("EFO Deduplicated Events"));
        runner.assertTransferCount(ConsumeKinesis.SUCCESS, 0);
        assertTrue(bridge.source.counters.isEmpty());
    }

    @Test
    void rowsBecomeAFlowFileAndAreSettledAsCommitted() throws IOException {
        bridge.source.offer(7, false, ROWS, "aws.kinesis.shard.id", "shard-1", "record.count", "3");
        runner.run();

        runner.assertTransferCount(ConsumeKinesis.SUCCESS, 1);
        final MockFlowFile flowFile =
                runner.getFlowFilesForRelationship(ConsumeKinesis.SUCCESS).getFirst();
        flowFile.assertContentEquals(ROWS);
        flowFile.assertAttributeEquals("aws.kinesis.shard.id", "shard-1");
        flowFile.assertAttributeEquals("record.count", "3");
        assertEquals(List.of(Map.entry(7L, true)), bridge.source.settled);
        assertEquals(3, runner.getCounterValue("Records Consumed"));
        final var event = runner.getProvenanceEvents().getFirst();
        assertEquals(ProvenanceEventType.RECEIVE, event.getEventType());
        assertEquals("kinesis://stream/shard", event.getTransitUri());
    }

    @Test
    void largeContentCrossesInPiecesOfTheBuffer() throws IOException {
        final byte[] content = new byte[3 * Buffers.BYTES + 17];
        new Random(1).nextBytes(content);
        bridge.source.offer(1, false, content);
        runner.run();

        runner.getFlowFilesForRelationship(ConsumeKinesis.SUCCESS).getFirst().assertContentEquals(content);
        assertEquals(Buffers.BYTES, bridge.source.largestRead);
    }

    @Test
    void thousandsOfPartsAreOneSessionAndOneCommit() throws IOException {
        final List<byte[]> parts = IntStream.range(0, 5_000)
                .mapToObj(i -> (i % 1_000 == 0 ? "" : "record " + i).getBytes(StandardCharsets.UTF_8))
                .toList();
        bridge.source.offerAll(9, parts);
        runner.run(0, false, true);
        final AtomicInteger commits = new AtomicInteger();
        final ProcessSession session = Sessions.watched(
                runner.getProcessSessionFactory().createSession(), "commitAsync", args -> commits.incrementAndGet());
        processor.onTrigger(runner.getProcessContext(), () -> session);

        assertEquals(1, commits.get());
        assertEquals(List.of(Map.entry(9L, true)), bridge.source.settled);
        final List<MockFlowFile> flowFiles = runner.getFlowFilesForRelationship(ConsumeKinesis.SUCCESS);
        assertEquals(parts.size(), flowFiles.size());
        for (int i = 0; i < parts.size(); i++) {
            flowFiles.get(i).assertContentEquals(parts.get(i));
            flowFiles.get(i).assertAttributeEquals("aws.kinesis.first.sequence.number", Integer.toString(i));
        }
        assertEquals(parts.size(), runner.getCounterValue("Records Consumed"));
    }

    @Test
    void failedPayloadGoesToParseFailure() {
        bridge.source.offer(1, true, "not json".getBytes(StandardCharsets.UTF_8), "record.error.message", "why");
        runner.run();

        runner.assertAllFlowFilesTransferred(ConsumeKinesis.PARSE_FAILURE, 1);
        assertEquals(3, runner.getCounterValue("Records Parse Failure"));
        assertEquals(List.of(Map.entry(1L, true)), bridge.source.settled);
    }

    @Test
    void emptyPayloadIsAnEmptyFlowFile() throws IOException {
        bridge.source.offer(1, true, new byte[0]);
        runner.run();

        runner.getFlowFilesForRelationship(ConsumeKinesis.PARSE_FAILURE)
                .getFirst()
                .assertContentEquals(new byte[0]);
    }

    @Test
    void unreadableContentRollsBackAndSettlesAsNotCommitted() {
        bridge.source.offer(4, false, new byte[2 * Buffers.BYTES]);
        bridge.source.readFailure = new NativeException(ErrorCode.PANIC.code(), "boom");
        assertThrows(AssertionError.class, () -> runner.run());

        runner.assertTransferCount(ConsumeKinesis.SUCCESS, 0);
        assertEquals(List.of(Map.entry(4L, false)), bridge.source.settled);
    }

    @Test
    void failedCommitIsSettledOnceAsNotCommitted() {
        bridge.source.offer(5, false, ROWS);
        runner.run(0, false, true);
        final IllegalStateException failure = new IllegalStateException("repository full");
        final ProcessSession session =
                failingCommit(runner.getProcessSessionFactory().createSession(), failure);

        assertThrows(IllegalStateException.class, () -> processor.onTrigger(runner.getProcessContext(), () -> session));

        assertEquals(List.of(Map.entry(5L, false)), bridge.source.settled);
        runner.assertTransferCount(ConsumeKinesis.SUCCESS, 0);
    }

    @Test
    void aBatchWhoseShardMayBelongToAnotherNodeIsNotCommitted() {
        bridge.source.offer(6, false, ROWS);
        bridge.source.mayCommit = false;
        runner.run(0, false, true);
        final AtomicInteger commits = new AtomicInteger();
        final ProcessSession session = Sessions.watched(
                runner.getProcessSessionFactory().createSession(), "commitAsync", args -> commits.incrementAndGet());
        processor.onTrigger(runner.getProcessContext(), () -> session);

        assertEquals(0, commits.get());
        assertEquals(List.of("may-commit 6"), bridge.source.calls);
        assertEquals(List.of(Map.entry(6L, false)), bridge.source.settled);
        runner.assertTransferCount(ConsumeKinesis.SUCCESS, 0);
    }

    @Test
    void nothingPolledYieldsAndStillTellsMessages() {
        bridge.source.messages.add(new Message(Message.Level.ERROR, "access denied"));
        bridge.source.messages.add(new Message(Message.Level.WARN, "throttled"));
        runner.run(1, false);

        assertTrue(((MockProcessContext) runner.getProcessContext()).isYieldCalled());
        assertTrue(runner.getLogger().getErrorMessages().getFirst().getMsg().contains("access denied"));
        assertTrue(runner.getLogger().getWarnMessages().getFirst().getMsg().contains("throttled"));
        runner.stop();
    }

    @Test
    void aThreadWaitsForRecordsOnlyWhileTheyFlow() {
        final AtomicLong nanos = new AtomicLong(-1);
        processor = new ConsumeKinesis(() -> bridge, nanos::get);
        runner = configured(processor);
        runner.run(1, false);
        assertEquals(List.of(0L), bridge.source.waits, "nothing has come since the start");
        bridge.source.offer(1, false, ROWS);
        runner.run(1, false, false);
        nanos.addAndGet(999_999_999);
        runner.run(1, false, false);
        nanos.addAndGet(1);
        runner.run(1, true, false);

        assertEquals(List.of(0L, 0L, ConsumeKinesis.FLOWING_WAIT_MILLIS, 0L), bridge.source.waits);
    }

    @Test
    void failedPollIsReportedAndDoesNotEndTheTask() {
        bridge.source.pollFailure = new NativeException(ErrorCode.AUTH.code(), "no permission");
        runner.run();

        assertTrue(((MockProcessContext) runner.getProcessContext()).isYieldCalled());
        assertEquals(1, runner.getLogger().getErrorMessages().size());
    }

    @Test
    void stoppingStopsFetchingBeforeItCloses() {
        runner.run();
        assertEquals(List.of("stop-fetching", "close 5000"), bridge.source.calls);
    }

    @Test
    void removalDeregistersAFanOutConsumerOnly() {
        processor.remove(runner.getProcessContext());
        assertTrue(bridge.deregistered.isEmpty());

        runner.setProperty(KinesisProperties.CONSUMER_TYPE, KinesisProperties.ENHANCED_FAN_OUT);
        processor.remove(runner.getProcessContext());
        assertEquals("app", bridge.deregistered.getFirst().get("Application Name"));
    }

    @Test
    void verificationReportsEveryStep() {
        bridge.findings = List.of(
                new Finding("Stream", Finding.Outcome.SUCCESSFUL, "4 shards"),
                new Finding("Table", Finding.Outcome.FAILED, "dynamodb:DescribeTable is not allowed"),
                new Finding("Consumer", Finding.Outcome.SKIPPED, "not needed"));
        final List<ConfigVerificationResult> results =
                processor.verify(runner.getProcessContext(), runner.getLogger(), Map.of());

        assertEquals(
                List.of("SUCCESSFUL", "FAILED", "SKIPPED"),
                results.stream().map(result -> result.getOutcome().name()).toList());
    }

    @Test
    void verificationFailsInWordsWithoutALibrary() {
        final ConsumeKinesis without = new ConsumeKinesis(() -> {
            throw new NativeException(ErrorCode.UNAVAILABLE.code(), "library missing");
        });
        final List<ConfigVerificationResult> results =
                without.verify(runner.getProcessContext(), runner.getLogger(), Map.of());

        assertEquals(ConfigVerificationResult.Outcome.FAILED, results.getFirst().getOutcome());
        assertEquals("library missing", results.getFirst().getExplanation());
    }

    /** A session whose commit fails as NiFi's does: by callback and by exception. */
    private static ProcessSession failingCommit(final ProcessSession session, final RuntimeException failure) {
        return Sessions.watched(session, "commitAsync", args -> {
            @SuppressWarnings("unchecked")
            final Consumer<Throwable> onFailure = (Consumer<Throwable>) args[1];
            onFailure.accept(failure);
            throw failure;
        });
    }
}
