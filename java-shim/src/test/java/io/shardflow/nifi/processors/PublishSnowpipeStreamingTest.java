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
import io.shardflow.nifi.bridge.Piece;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.NoSuchAlgorithmException;
import java.security.PrivateKey;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.key.service.api.PrivateKeyService;
import org.apache.nifi.provenance.ProvenanceEventRecord;
import org.apache.nifi.provenance.ProvenanceEventType;
import org.apache.nifi.reporting.InitializationException;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PublishSnowpipeStreamingTest {

    private static final String PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    private static final String ROWS = "{\"a\":1}\n{\"a\":2}\n";

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
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
    }

    @Test
    void contentIsHandedOverWhenWantedAndSuccessFollowsTheCommit() throws IOException {
        enqueue(ROWS, 1);
        runner.run(2, false, true);
        assertEquals(ROWS, sink.written.get(1L).toString(StandardCharsets.UTF_8));
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        assertFalse(runner.isQueueEmpty() && sink.finished.isEmpty());

        runner.run(3, true, false);
        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        final MockFlowFile flowFile = only(PublishSnowpipeStreaming.SUCCESS.getName());
        flowFile.assertContentEquals(ROWS);
        flowFile.assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        flowFile.assertAttributeNotExists(Attributes.MESSAGE);
        assertEquals(2, runner.getCounterValue("Rows Sent"));
        assertEquals(1, runner.getCounterValue("Rows Skipped"));
        assertEquals(Set.of(FakeSink.TRANSIT_URI), transitUris());
    }

    @Test
    void announcementHoldsWhatThePropertiesSayForTheFlowFile() {
        runner.enqueue(
                ROWS,
                Map.of(
                        "start", "101",
                        "end", "102",
                        "shard", "shard-1",
                        "table", "ORDERS",
                        "record.count", "2",
                        "aws.kinesis.previous.sharded.sequence.number", "100"));
        runner.run();
        assertEquals(
                Map.of(
                        "Database", "DB",
                        "Schema", "PUBLIC",
                        "Table", "ORDERS",
                        "Channel Group", "shard-1",
                        "Offset Token Start", "101",
                        "Offset Token End", "102",
                        "Offset Token Previous", "100",
                        "Size", Integer.toString(ROWS.length()),
                        "Records", "2"),
                sink.begun.getFirst());
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
        only("success").assertAttributeEquals("shard", "free");
        assertTrue(sink.longestWait.get() <= 250);
        runner.stop();
    }

    @Test
    void whatWaitsAtAStopGoesBackToTheQueue() {
        sink.script = upload -> List.of(State.WAITING);
        enqueue(ROWS, 3);
        runner.run(3);

        assertEquals(3, runner.getQueueSize().getObjectCount());
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        assertEquals(Set.of(1L, 2L, 3L), new HashSet<>(sink.abandoned));
        assertEquals(List.of("close 4000"), sink.calls);
    }

    @Test
    void whatIsInFlightAtAStopIsWaitedFor() {
        sink.script =
                upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.IN_FLIGHT, State.IN_FLIGHT, State.COMMITTED);
        enqueue(ROWS, 1);
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
        enqueue(ROWS, 1);
        runner.run(4);

        final MockFlowFile flowFile = only("invalid");
        flowFile.assertAttributeEquals(Attributes.ROW_ERRORS, "4");
        flowFile.assertAttributeEquals(Attributes.MESSAGE, "rows 10 to 13: NUMBER expected");
        assertEquals(1, runner.getLogger().getWarnMessages().size());
    }

    @Test
    void failureCarriesItsReason() {
        sink.script = upload -> List.of(State.FAILED);
        sink.message = "table does not exist";
        sink.rowsSent = 0;
        enqueue(ROWS, 1);
        runner.run(3);

        only("failure").assertAttributeEquals(Attributes.MESSAGE, "table does not exist");
        only("failure").assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        assertTrue(transitUris().isEmpty());
    }

    @Test
    void failureWithoutAReasonIsAFailureAllTheSame() {
        sink.script = upload -> List.of(State.FAILED);
        enqueue(ROWS, 1);
        runner.run(3);
        only("failure").assertAttributeNotExists(Attributes.MESSAGE);
    }

    @Test
    void whatIsSkippedWholeIsSuccessfulWithoutBeingRead() {
        sink.script = upload -> List.of(State.COMMITTED);
        sink.rowsSent = 0;
        enqueue(ROWS, 1);
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
        enqueue(ROWS, 1);
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
        enqueue(ROWS, 1);
        runner.run();
        only("failure").assertAttributeEquals(Attributes.MESSAGE, "Offset Token Start is not a number");
    }

    @Test
    void announcementRefusedForNowStaysInTheQueue() {
        sink.beginFailure = new NativeException(ErrorCode.THROTTLED.code(), "later");
        enqueue(ROWS, 2);
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
        enqueue(ROWS, 2);
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
        enqueue(ROWS, 1);
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
        enqueue(ROWS, 1);
        runner.run(1);

        only("failure").assertAttributeEquals(Attributes.MESSAGE, "table was dropped");
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
        enqueue(ROWS, 500);
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
    void exactlyOneSourceOfThePrivateKey() throws InitializationException, NoSuchAlgorithmException {
        runner.assertValid();
        final KeyPair pair = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        runner.addControllerService("keys", new Keys(pair.getPrivate()));
        runner.enableControllerService(runner.getControllerService("keys"));
        runner.setProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE, "keys");
        runner.assertNotValid();
        runner.removeProperty(SnowpipeProperties.PRIVATE_KEY);
        runner.assertValid();
        runner.run();

        final String pem = bridge.configurations.getFirst().get("Private Key");
        assertTrue(pem.startsWith("-----BEGIN PRIVATE KEY-----\n"));
        assertArrayEquals(
                pair.getPrivate().getEncoded(),
                java.util.Base64.getMimeDecoder()
                        .decode(pem.lines()
                                .filter(line -> !line.startsWith("-"))
                                .collect(Collectors.joining())));
        runner.removeProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE);
        runner.assertNotValid();
    }

    @Test
    void configurationCrossesInMillisecondsAndBytes() {
        runner.setProperty(SnowpipeProperties.ROLE, "");
        runner.run();
        assertEquals(
                Map.ofEntries(
                        Map.entry("Authentication Strategy", "KEY_PAIR"),
                        Map.entry("Connection Strategy", "STANDARD"),
                        Map.entry("Channel Type", "STANDARD"),
                        Map.entry("Account", "org-account"),
                        Map.entry("User", "LOADER"),
                        Map.entry("Private Key", PEM.trim()),
                        Map.entry("Destination Type", "TABLE"),
                        Map.entry("Offset Tracking Resolution", "RECORD"),
                        Map.entry("Offset Token Record Pointer", "/n"),
                        Map.entry("Invalid Rows", "FLOW_FILE"),
                        Map.entry("Gap Strategy", "WAIT"),
                        Map.entry("Compression Level", "1"),
                        Map.entry("Offset Tracking Timeout", "90000"),
                        Map.entry("Channel Insert Timeout", "30000"),
                        Map.entry("Gap Timeout", "300000"),
                        Map.entry("Memory Budget", "67108864")),
                bridge.configurations.getFirst());
    }

    @Test
    void flowsOfSnowflakesProcessorAreCarriedOver() {
        final TestRunner table = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        table.setProperty("Pipe", "ORDERS-STREAMING");
        table.setProperty("Transfer Strategy", "MANAGED");
        table.migrateProperties();
        assertEquals("ORDERS", table.getProcessContext().getAllProperties().get("Table"));
        assertEquals("TABLE", table.getProcessContext().getAllProperties().get("Destination Type"));
        assertFalse(table.getProcessContext().getAllProperties().containsKey("Transfer Strategy"));

        final TestRunner pipe = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        pipe.setProperty("Pipe", "ORDERS_PIPE");
        pipe.migrateProperties();
        assertEquals("PIPE", pipe.getProcessContext().getAllProperties().get("Destination Type"));
    }

    @Test
    void aCompleteConfigurationOfSnowflakesProcessorIsTakenOver() throws Exception {
        final TestRunner official = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        final KeyPair pair = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        official.addControllerService("keys", new Keys(pair.getPrivate()));
        official.enableControllerService(official.getControllerService("keys"));
        final Map<String, String> kept = Map.ofEntries(
                Map.entry("Authentication Strategy", "KEY_PAIR"),
                Map.entry("Connection Strategy", "PRIVATE_CONNECTIVITY"),
                Map.entry("Account", "org-account"),
                Map.entry("User", "LOADER"),
                Map.entry("Role", "LOADING"),
                Map.entry("Private Key Service", "keys"),
                Map.entry("Destination Type", "TABLE"),
                Map.entry("Database", "DB"),
                Map.entry("Schema", "PUBLIC"),
                Map.entry("Table", "ORDERS"),
                Map.entry("Channel Type", "STANDARD"),
                Map.entry("Offset Tracking Timeout", "90 s"),
                Map.entry("Offset Tracking Resolution", "RECORD"),
                Map.entry("Offset Token Start Expression", "${start}"),
                Map.entry("Offset Token End Expression", "${end}"),
                Map.entry("Offset Token Record Pointer", "/n"),
                Map.entry("Channel Group", "SHARED"),
                Map.entry("Channel Insert Timeout", "30 s"));
        kept.forEach(official::setProperty);
        official.setProperty("Web Client Service Provider", "web");
        official.setProperty("Transfer Strategy", "FILE_FRAGMENTS");
        official.setProperty("File Fragment Size", "64 MB");
        official.setProperty("File Fragment Count", "4");
        official.migrateProperties();

        official.assertValid();
        final Map<String, String> after = official.getProcessContext().getAllProperties();
        kept.forEach((name, value) -> assertEquals(value, after.get(name), name));
        final String warning = official.getLogger().getWarnMessages().getFirst().getMsg();
        for (final String gone : List.of(
                "Web Client Service Provider", "Transfer Strategy", "File Fragment Size", "File Fragment Count")) {
            assertFalse(after.containsKey(gone), gone);
            assertTrue(warning.contains(gone), warning);
        }
        assertTrue(official.getLogger().getErrorMessages().isEmpty());
    }

    @Test
    void propertiesHaveTheDefaultsOfSnowflakesProcessor() {
        final Map<String, String> defaults = Map.of(
                "Authentication Strategy", "KEY_PAIR",
                "Connection Strategy", "STANDARD",
                "Destination Type", "TABLE",
                "Channel Type", "STANDARD",
                "Offset Tracking Timeout", "90 sec",
                "Offset Tracking Resolution", "DISABLED",
                "Channel Group", "SHARED",
                "Channel Insert Timeout", "30 sec");
        defaults.forEach((name, value) -> assertEquals(
                value,
                SnowpipeProperties.ALL.stream()
                        .filter(descriptor -> descriptor.getName().equals(name))
                        .findFirst()
                        .orElseThrow()
                        .getDefaultValue(),
                name));
    }

    @Test
    void aManagedRuntimeNeedsNoUserAndNoKey() {
        final TestRunner managed = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        managed.setProperty(SnowpipeProperties.AUTHENTICATION, SnowpipeProperties.MANAGED);
        managed.setProperty(SnowpipeProperties.DATABASE, "DB");
        managed.setProperty(SnowpipeProperties.SCHEMA, "PUBLIC");
        managed.setProperty(SnowpipeProperties.TABLE, "T");
        managed.assertValid();
        managed.run();
        assertEquals("SNOWFLAKE_MANAGED", bridge.configurations.getFirst().get("Authentication Strategy"));
        managed.setProperty(SnowpipeProperties.AUTHENTICATION, SnowpipeProperties.KEY_PAIR);
        managed.assertNotValid();
    }

    @Test
    void elasticChannelsNeedNoTokensWhateverTheirPropertiesHold() {
        runner.setProperty(SnowpipeProperties.CHANNEL_TYPE, SnowpipeProperties.ELASTIC_CHANNEL);
        runner.setProperty(SnowpipeProperties.TOKEN_START, "no number");
        runner.removeProperty(SnowpipeProperties.TOKEN_POINTER);
        runner.assertValid();
        enqueue(ROWS, 1);
        runner.run(4);

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertFalse(sink.begun.getFirst().containsKey("Offset Token Start"));
        assertEquals("ELASTIC", bridge.configurations.getFirst().get("Channel Type"));
    }

    @Test
    void aRowThatIsTooLargeLeavesAloneForFailure() {
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        enqueue("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", 1);
        runner.run(5);

        final MockFlowFile row = only("failure");
        row.assertContentEquals("{\"a\":2}\n");
        row.assertAttributeEquals(Attributes.OFFSET_START, "2");
        row.assertAttributeEquals(Attributes.OFFSET_END, "2");
        row.assertAttributeEquals(Attributes.MESSAGE, "too large");
        row.assertAttributeEquals("shard", "s");
        row.assertAttributeEquals("record.count", "1");
        only("success").assertContentEquals("{\"a\":1}\n{\"a\":3}\n");
    }

    @Test
    void onlyTheRowsThatMayBeRejectedAreInvalidWhenTheyAreKnown() {
        sink.script = upload -> List.of(State.WANT_DATA, State.INVALID);
        sink.rowErrors = 1;
        sink.message = "rejected";
        // The last line has no line feed, which the length counts all the same.
        sink.pieces.add(new Piece(Piece.Way.INVALID, 16, 8, 1, "3", "3", "rejected"));
        sink.pieces.add(new Piece(Piece.Way.INVALID, 0, 8, 1, "1", "1", "rejected"));
        enqueue("{\"a\":1}\n{\"a\":2}\n{\"a\":3}", 1);
        runner.run(1);

        final MockFlowFile invalid = only("invalid");
        invalid.assertContentEquals("{\"a\":1}\n{\"a\":3}");
        invalid.assertAttributeEquals(Attributes.ROW_ERRORS, "1");
        invalid.assertAttributeEquals(Attributes.OFFSET_START, "1");
        invalid.assertAttributeEquals(Attributes.OFFSET_END, "3");
        final MockFlowFile rest = only("success");
        rest.assertContentEquals("{\"a\":2}\n");
        rest.assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        rest.assertAttributeNotExists(Attributes.MESSAGE);
    }

    @Test
    void countersAreThoseOfSnowflakesProcessor() {
        sink.counters.put("Batches Sent", 3L);
        sink.counters.put("Compressed Bytes Sent", 400L);
        enqueue(ROWS, 1);
        runner.run(5);
        assertEquals(3, runner.getCounterValue("Batches Sent"));
        assertEquals(400, runner.getCounterValue("Compressed Bytes Sent"));
        assertEquals(2, runner.getCounterValue("Rows Sent"));
        assertEquals(1, runner.getCounterValue("Rows Skipped"));
        assertEquals(ROWS.length(), runner.getCounterValue("Bytes Sent"));
        assertTrue(runner.getCounterValue("Processing Duration") >= 0);
        assertTrue(runner.getCounterValue("Offset Token Polling Duration") >= 0);
    }

    private void enqueue(final String content, final int count) {
        for (int i = 1; i <= count; i++) {
            final String number = Integer.toString(i);
            runner.enqueue(content, Map.of("start", number, "end", number, "shard", "s"));
        }
    }

    private MockFlowFile only(final String relationship) {
        runner.assertTransferCount(relationship, 1);
        return runner.getFlowFilesForRelationship(relationship).getFirst();
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

    private static final class Keys extends AbstractControllerService implements PrivateKeyService {

        private final PrivateKey key;

        private Keys(final PrivateKey key) {
            this.key = key;
        }

        @Override
        public PrivateKey getPrivateKey() {
            return key;
        }
    }
}
