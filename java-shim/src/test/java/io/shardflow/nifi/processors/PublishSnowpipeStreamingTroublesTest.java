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
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.Outcome.State;
import io.shardflow.nifi.bridge.Piece;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.exception.FlowFileAccessException;
import org.apache.nifi.provenance.ProvenanceEventType;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.MockProcessContext;
import org.apache.nifi.util.TestRunner;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Ends that are no success, and FlowFiles that come again. */
class PublishSnowpipeStreamingTroublesTest {

    private static final String ROWS = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
    private static final Piece SECOND = new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large");

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private PublishSnowpipeStreaming processor;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        processor = new PublishSnowpipeStreaming(() -> bridge);
        runner = PublishSnowpipeStreamingTest.configured(processor);
        runner.enqueue(ROWS, Map.of("start", "1", "end", "3", "shard", "s"));
    }

    @Test
    void anErrorInTheMiddleOfTheContentEndsItsUpload() {
        sink.script = upload -> List.of(State.WANT_DATA);
        sink.writeError = new OutOfMemoryError("Java heap space");
        runner.run(0, false, true);
        assertThrows(OutOfMemoryError.class, this::trigger);
        assertEquals(List.of(1L), sink.abandoned, "what was written must not be followed by its beginning");
        assertEquals(1, runner.getQueueSize().getObjectCount());

        sink.writeError = null;
        sink.script = upload -> List.of(State.WANT_DATA, State.COMMITTED);
        runner.run(4, true, false);
        assertEquals(ROWS, written(2));
        Queues.only(runner, "success").assertContentEquals(ROWS);
    }

    @Test
    void aThreadThatWaitsForRoomIsSentBackBeforeAStop() throws Exception {
        sink.script = upload -> List.of(State.WANT_DATA);
        sink.full = true;
        runner.run(0, false, true);
        final CompletableFuture<Void> waiter = CompletableFuture.runAsync(this::trigger);
        assertTrue(sink.waiting.await(20, TimeUnit.SECONDS));
        assertNull(waiter.getNow(null));
        processor.hurry();
        waiter.get(10, TimeUnit.SECONDS);

        assertEquals(1, runner.getQueueSize().getObjectCount());
        assertEquals(List.of(1L), sink.abandoned);
        runner.stop();
    }

    @Test
    void onlyWhatIsStoredCountsAsSent() {
        sink.script = upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.FAILED);
        runner.run(5);

        Queues.only(runner, "failure").assertContentEquals(ROWS);
        assertTrue(runner.getProvenanceEvents().stream()
                .noneMatch(event -> event.getEventType() == ProvenanceEventType.SEND));
        assertNull(runner.getCounterValue("Rows Sent"));
        assertNull(runner.getCounterValue("Bytes Sent"));
    }

    @Test
    void aFlowFileThatFailsLeavesWhole() {
        sink.script = upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.FAILED);
        sink.pieces.add(SECOND);
        runner.run(5);

        Queues.only(runner, "failure").assertContentEquals(ROWS);
    }

    @Test
    void aFlowFileWhoseExpressionFailsIsAFailureAndTheOthersGoOn() {
        runner.setProperty(SnowpipeProperties.CHANNEL_GROUP, "${shard:toDate('yyyy-MM-dd'):format('yyyy')}");
        runner.enqueue(ROWS, Map.of("start", "4", "end", "6", "shard", "2026-01-31"));
        runner.run(8);

        final String message = Queues.only(runner, "failure").getAttribute(Attributes.MESSAGE);
        Queues.only(runner, "failure").assertAttributeEquals("shard", "s");
        Queues.only(runner, "failure").assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        assertTrue(message.contains("Channel Group ${shard:toDate"), message);
        assertTrue(message.contains("attribute value: s"), message);
        Queues.only(runner, "success").assertAttributeEquals("start", "4");
        assertEquals("2026", sink.begun.getFirst().get("Channel Group"));
    }

    @Test
    void contentThatCannotBeReadIsPenalizedAndTheOthersGoOn() {
        sink.script = upload -> List.of(State.WANT_DATA, State.COMMITTED);
        runner.enqueue(ROWS, Map.of("start", "4", "end", "6", "shard", "s"));
        runner.run(0, false, true);
        for (int trigger = 0; trigger < 3; trigger++) {
            processor.onTrigger(runner.getProcessContext(), this::sessionThatCannotReadTheFirst);
        }

        Queues.only(runner, "success").assertAttributeEquals("start", "4");
        assertEquals(1, runner.getQueueSize().getObjectCount());
        // The mock's queue hands a penalized FlowFile out again at once.
        assertEquals(Set.of("1"), numbers(runner.getPenalizedFlowFiles()));
        assertEquals(sink.abandoned.size(), runner.getPenalizedFlowFiles().size());
        assertFalse(((MockProcessContext) runner.getProcessContext()).isYieldCalled());
        final String told = runner.getLogger().getErrorMessages().getFirst().getMsg();
        assertTrue(told.contains("cannot be read"), told);
        runner.stop();
    }

    private ProcessSession sessionThatCannotReadTheFirst() {
        return Sessions.watched(runner.getProcessSessionFactory().createSession(), "read", args -> {
            if ("1".equals(((FlowFile) args[0]).getAttribute("start"))) {
                throw new FlowFileAccessException("the disk is broken");
            }
        });
    }

    private static Set<String> numbers(final List<MockFlowFile> flowFiles) {
        return flowFiles.stream()
                .map(flowFile -> flowFile.getAttribute("start"))
                .collect(Collectors.toSet());
    }

    private void trigger() {
        processor.onTrigger(runner.getProcessContext(), runner.getProcessSessionFactory());
    }

    private String written(final long upload) {
        return sink.written.get(upload).toString(StandardCharsets.UTF_8);
    }
}
