/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.Outcome.State;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.nifi.provenance.ProvenanceEventRecord;
import org.apache.nifi.provenance.ProvenanceEventType;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PublishSnowpipeStreamingTest {

    static final String PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    static final String ROWS = "{\"a\":1}\n{\"a\":2}\n";

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = configured(bridge);
    }

    @Test
    void contentIsHandedOverWhenWantedAndSuccessFollowsTheCommit() throws IOException {
        Queues.enqueue(runner, ROWS, 1);
        runner.run(2, false, true);
        assertEquals(ROWS, sink.written.get(1L).toString(StandardCharsets.UTF_8));
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        assertFalse(runner.isQueueEmpty() && sink.finished.isEmpty());

        runner.run(3, true, false);
        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        final MockFlowFile flowFile = Queues.only(runner, PublishSnowpipeStreaming.SUCCESS.getName());
        flowFile.assertContentEquals(ROWS);
        flowFile.assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        flowFile.assertAttributeNotExists(Attributes.MESSAGE);
        assertEquals(2, runner.getCounterValue("Rows Sent"));
        assertEquals(1, runner.getCounterValue("Rows Skipped"));
        assertEquals(Set.of(FakeSink.TRANSIT_URI), transitUris());
    }

    @Test
    void largeContentCrossesInPieces() {
        final byte[] content = new byte[2 * Buffers.BYTES + 5];
        new Random(2).nextBytes(content);
        runner.enqueue(content, Map.of("start", "1", "end", "2", "shard", "s"));
        runner.run(8);
        assertArrayEquals(content, sink.written.get(1L).toByteArray());
        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
    }

    @Test
    void oneThatWaitsDoesNotHoldTheOthers() {
        sink.script = upload -> "held".equals(upload.get("Channel Group"))
                ? List.of(State.WAITING)
                : List.of(State.WANT_DATA, State.COMMITTED);
        runner.enqueue(ROWS, Map.of("start", "1", "end", "2", "shard", "held"));
        runner.enqueue(ROWS, Map.of("start", "1", "end", "2", "shard", "free"));
        runner.run(6, false, true);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        Queues.only(runner, "success").assertAttributeEquals("shard", "free");
        assertTrue(sink.longestWait.get() <= 250);
        runner.stop();
    }

    @Test
    void whatWaitsAtAStopGoesBackToTheQueue() {
        sink.script = upload -> List.of(State.WAITING);
        Queues.enqueue(runner, ROWS, 3);
        runner.run(3);

        assertEquals(3, runner.getQueueSize().getObjectCount());
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        assertEquals(Set.of(1L, 2L, 3L), new HashSet<>(sink.abandoned));
        assertEquals(List.of("hurry", "hurry", "close 4000"), sink.calls, "before and while it stops");
    }

    @Test
    void whatIsInFlightAtAStopIsWaitedFor() {
        sink.script =
                upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.IN_FLIGHT, State.IN_FLIGHT, State.COMMITTED);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(2, false, true);
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        runner.stop();

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertTrue(runner.isQueueEmpty());
    }

    @Test
    void rejectedRowsMakeAFlowFileInvalid() {
        sink.script = upload -> List.of(State.WANT_DATA, State.INVALID);
        sink.rowErrors = 4;
        sink.message = "rows 10 to 13: NUMBER expected";
        Queues.enqueue(runner, ROWS, 1);
        runner.run(4);

        final MockFlowFile flowFile = Queues.only(runner, "invalid");
        flowFile.assertAttributeEquals(Attributes.ROW_ERRORS, "4");
        flowFile.assertAttributeEquals(Attributes.MESSAGE, "rows 10 to 13: NUMBER expected");
        assertEquals(0, runner.getLogger().getWarnMessages().size(), "the bulletin is the core's");
    }

    @Test
    void failureCarriesItsReason() {
        sink.script = upload -> List.of(State.FAILED);
        sink.message = "table does not exist";
        sink.rowsSent = 0;
        Queues.enqueue(runner, ROWS, 1);
        runner.run(3);

        Queues.only(runner, "failure").assertAttributeEquals(Attributes.MESSAGE, "table does not exist");
        Queues.only(runner, "failure").assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        assertTrue(transitUris().isEmpty());
    }

    @Test
    void failureWithoutAReasonIsAFailureAllTheSame() {
        sink.script = upload -> List.of(State.FAILED);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(3);
        Queues.only(runner, "failure").assertAttributeNotExists(Attributes.MESSAGE);
    }

    @Test
    void whatIsSkippedWholeIsSuccessfulWithoutBeingRead() {
        sink.script = upload -> List.of(State.COMMITTED);
        sink.rowsSent = 0;
        Queues.enqueue(runner, ROWS, 1);
        runner.run(3);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertTrue(sink.written.isEmpty());
        assertTrue(transitUris().isEmpty());
        assertEquals(1, runner.getCounterValue("FlowFiles Skipped"));
    }

    @Test
    void retryBeginsAgainWithoutPenalty() {
        final Set<String> seen = new HashSet<>();
        sink.script = upload -> seen.add(upload.get("Offset Token Start"))
                ? List.of(State.WAITING, State.RETRY)
                : List.of(State.WANT_DATA, State.COMMITTED);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(10);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertEquals(2, sink.begun.size());
        runner.assertPenalizeCount(0);
    }

    @Test
    void emptyFlowFilesHaveTheirOwnRelationship() {
        runner.enqueue(new byte[0]);
        runner.run();
        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.EMPTY, 1);
        assertTrue(sink.begun.isEmpty());
        assertTrue(PublishSnowpipeStreaming.EMPTY.isAutoTerminated());
    }

    @Test
    void announcementThatMakesNoSenseIsAFailure() {
        sink.beginFailure = new NativeException(ErrorCode.CONFIG.code(), "Offset Token Start is not a number");
        Queues.enqueue(runner, ROWS, 1);
        runner.run();
        Queues.only(runner, "failure").assertAttributeEquals(Attributes.MESSAGE, "Offset Token Start is not a number");
    }

    @Test
    void announcementRefusedForNowStaysInTheQueue() {
        sink.beginFailure = new NativeException(ErrorCode.THROTTLED.code(), "later");
        Queues.enqueue(runner, ROWS, 2);
        runner.run(0, false, true);
        try {
            runner.run(1, true, false);
        } catch (final AssertionError expected) {
            assertEquals("later", expected.getCause().getMessage());
        }
        assertEquals(2, runner.getQueueSize().getObjectCount());
    }

    @Test
    void refusedContentGoesBackToTheQueueAndLeavesTheOthersAlone() {
        sink.writeFailure = new NativeException(ErrorCode.INTERNAL.code(), "not expected now");
        sink.script = upload -> "1".equals(upload.get("Offset Token Start"))
                ? List.of(State.WANT_DATA, State.IN_FLIGHT)
                : List.of(State.COMMITTED);
        Queues.enqueue(runner, ROWS, 2);
        runner.run(1);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertEquals(1, runner.getQueueSize().getObjectCount());
        assertEquals(1, runner.getLogger().getErrorMessages().size());
        assertEquals(List.of(1L), sink.abandoned);
    }

    @Test
    void contentThatFindsNoRoomIsNoError() {
        sink.writeFailure = new NativeException(ErrorCode.THROTTLED.code(), "no room");
        sink.script = upload -> List.of(State.WANT_DATA);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(1);

        assertEquals(1, runner.getQueueSize().getObjectCount());
        assertTrue(runner.getLogger().getErrorMessages().isEmpty());
        assertTrue(runner.getLogger().getWarnMessages().isEmpty());
    }

    @Test
    void refusedContentOfAnUploadThatHasEndedFollowsItsEnd() {
        sink.writeFailure = new NativeException(ErrorCode.INTERNAL.code(), "not expected now");
        sink.message = "table was dropped";
        sink.script = upload -> List.of(State.WANT_DATA, State.FAILED);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(1);

        Queues.only(runner, "failure").assertAttributeEquals(Attributes.MESSAGE, "table was dropped");
    }

    @Test
    void severalTasksEndEveryFlowFileOnce() {
        final Random random = new Random(42);
        sink.script = upload -> {
            synchronized (random) {
                final State[] states = new State[random.nextInt(6)];
                Arrays.setAll(states, i -> random.nextBoolean() ? State.WAITING : State.IN_FLIGHT);
                final List<State> script = new java.util.ArrayList<>(List.of(states));
                script.add(random.nextInt(10) == 0 ? State.RETRY : State.WANT_DATA);
                script.add(State.COMMITTED);
                return script;
            }
        };
        Queues.enqueue(runner, ROWS, 500);
        runner.setThreadCount(4);
        runner.run(1, false, true);
        for (int round = 0; round < 200 && succeeded() < 500; round++) {
            runner.run(20, false, false);
        }
        runner.stop();

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 500);
        final Set<String> starts = runner.getFlowFilesForRelationship(PublishSnowpipeStreaming.SUCCESS).stream()
                .map(flowFile -> flowFile.getAttribute("start"))
                .collect(Collectors.toSet());
        assertEquals(500, starts.size());
        assertTrue(runner.isQueueEmpty());
    }

    @Test
    void elasticChannelsNeedNoTokensWhateverTheirPropertiesHold() {
        runner.setProperty(SnowpipeProperties.CHANNEL_TYPE, SnowpipeProperties.ELASTIC_CHANNEL);
        runner.setProperty(SnowpipeProperties.TOKEN_START, "no number");
        runner.removeProperty(SnowpipeProperties.TOKEN_POINTER);
        runner.assertValid();
        Queues.enqueue(runner, ROWS, 1);
        runner.run(4);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertFalse(sink.begun.getFirst().containsKey("Offset Token Start"));
        assertEquals("ELASTIC", bridge.configurations.getFirst().get("Channel Type"));
    }

    @Test
    void countersAreThoseOfSnowflakesProcessor() {
        sink.counters.put("Batches Sent", 3L);
        sink.counters.put("Compressed Bytes Sent", 400L);
        Queues.enqueue(runner, ROWS, 1);
        runner.run(5);
        assertEquals(3, runner.getCounterValue("Batches Sent"));
        assertEquals(400, runner.getCounterValue("Compressed Bytes Sent"));
        assertEquals(2, runner.getCounterValue("Rows Sent"));
        assertEquals(1, runner.getCounterValue("Rows Skipped"));
        assertEquals(ROWS.length(), runner.getCounterValue("Bytes Sent"));
        assertTrue(runner.getCounterValue("Processing Duration") >= 0);
        assertTrue(runner.getCounterValue("Offset Token Polling Duration") >= 0);
    }

    /** A runner with a key, a destination and tokens. */
    static TestRunner configured(final FakeBridge bridge) {
        return configured(new PublishSnowpipeStreaming(() -> bridge));
    }

    static TestRunner configured(final PublishSnowpipeStreaming processor) {
        final TestRunner runner = TestRunners.newTestRunner(processor);
        runner.setProperty(SnowpipeProperties.ACCOUNT, "org-account");
        runner.setProperty(SnowpipeProperties.USER, "LOADER");
        runner.setProperty(SnowpipeProperties.PRIVATE_KEY, PEM);
        runner.setProperty(SnowpipeProperties.DATABASE, "DB");
        runner.setProperty(SnowpipeProperties.SCHEMA, "PUBLIC");
        runner.setProperty(SnowpipeProperties.TABLE, "${table:replaceNull('T')}");
        runner.setProperty(SnowpipeProperties.TRACKING, SnowpipeProperties.TRACK_RECORD);
        runner.setProperty(SnowpipeProperties.TOKEN_START, "${start}");
        runner.setProperty(SnowpipeProperties.TOKEN_END, "${end}");
        runner.setProperty(SnowpipeProperties.TOKEN_POINTER, "/n");
        runner.setProperty(SnowpipeProperties.CHANNEL_GROUP, "${shard}");
        return runner;
    }

    private int succeeded() {
        return runner.getFlowFilesForRelationship(PublishSnowpipeStreaming.SUCCESS)
                .size();
    }

    private Set<String> transitUris() {
        return runner.getProvenanceEvents().stream()
                .filter(event -> event.getEventType() == ProvenanceEventType.SEND)
                .map(ProvenanceEventRecord::getTransitUri)
                .collect(Collectors.toSet());
    }
}
