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
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.shardflow.nifi.bridge.Outcome.State;
import io.shardflow.nifi.bridge.Piece;
import io.shardflow.nifi.processors.Sessions.Terminating;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.exception.TerminatedTaskException;
import org.apache.nifi.util.TestRunner;
import org.junit.jupiter.api.Test;

/** A task that is terminated at each of its steps in turn. */
class TerminateTest {

    private static final String ROWS = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
    private static final int MOST_TRIGGERS = 10;

    @Test
    void aTerminatedSourceMovesNoPosition() {
        int steps = 0;
        while (isTerminatedSourceHarmless(steps + 1)) {
            steps++;
        }
        assertTrue(steps >= 10, "two FlowFiles are more than " + steps + " steps");
    }

    /** False when the batch was committed before that many steps. */
    private static boolean isTerminatedSourceHarmless(final int step) {
        final FakeBridge bridge = new FakeBridge();
        final ConsumeKinesis processor = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(processor);
        final byte[] rows = ROWS.getBytes(StandardCharsets.UTF_8);
        bridge.source.offerAll(8, List.of(rows, rows));
        runner.run(0, false, true);
        final Terminating sessions = new Terminating(runner.getProcessSessionFactory(), step);
        try {
            processor.onTrigger(runner.getProcessContext(), sessions);
        } catch (final TerminatedTaskException expected) {
            assertTrue(sessions.isTerminated());
        }
        final boolean terminated = sessions.isTerminated();
        assertEquals(List.of(Map.entry(8L, !terminated)), bridge.source.settled, "at step " + step);
        runner.assertTransferCount(ConsumeKinesis.SUCCESS, terminated ? 0 : 2);
        return terminated;
    }

    @Test
    void aCommitThatIsToldAfterTheTerminationMovesNoPosition() {
        final FakeBridge bridge = new FakeBridge();
        final ConsumeKinesis processor = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(processor);
        bridge.source.offer(3, false, ROWS.getBytes(StandardCharsets.UTF_8));
        runner.run(0, false, true);
        final AtomicReference<Runnable> success = new AtomicReference<>();
        final ProcessSession session =
                Sessions.watched(runner.getProcessSessionFactory().createSession(), "commitAsync", args -> {
                    success.set((Runnable) args[0]);
                    throw new TerminatedTaskException();
                });
        assertThrows(
                TerminatedTaskException.class, () -> processor.onTrigger(runner.getProcessContext(), () -> session));
        success.get().run();

        assertEquals(List.of(Map.entry(3L, false)), bridge.source.settled);
    }

    @Test
    void aTerminatedPublisherLeavesItsFlowFileInTheQueueAndItsUploadToNobody() {
        for (final List<State> script : List.of(
                List.of(State.WANT_DATA, State.IN_FLIGHT, State.COMMITTED),
                List.of(State.WANT_DATA, State.IN_FLIGHT, State.INVALID),
                List.of(State.WANT_DATA, State.IN_FLIGHT, State.RETRY),
                List.of(State.WANT_DATA, State.FAILED))) {
            int steps = 0;
            while (isTerminatedPublisherHarmless(script, steps + 1)) {
                steps++;
            }
            assertTrue(steps >= 10, script + " is more than " + steps + " steps");
        }
    }

    /** False when the FlowFile was through before that many steps. */
    private static boolean isTerminatedPublisherHarmless(final List<State> script, final int step) {
        final String name = script + " at step " + step;
        final FakeBridge bridge = new FakeBridge();
        final FakeSink sink = bridge.sink;
        final PublishSnowpipeStreaming processor = new PublishSnowpipeStreaming(() -> bridge);
        final TestRunner runner = PublishSnowpipeStreamingTest.configured(processor);
        sink.script = upload -> script;
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        runner.enqueue(ROWS, Map.of("start", "1", "end", "3", "shard", "s"));
        runner.run(0, false, true);
        final Terminating sessions = new Terminating(runner.getProcessSessionFactory(), step);
        final boolean ended = triggerUntilTheEnd(processor, runner, sink, sessions);
        processor.hurry();
        processor.close();

        if (ended) {
            return false;
        }
        final Set<Long> begun = new HashSet<>();
        for (long id = 1; id <= sink.begun.size(); id++) {
            begun.add(id);
        }
        assertEquals(begun, new HashSet<>(sink.abandoned), name);
        assertEquals(1, runner.getQueueSize().getObjectCount(), name);
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 0);
        runner.assertTransferCount(PublishSnowpipeStreaming.INVALID, 0);
        runner.assertTransferCount(PublishSnowpipeStreaming.FAILURE, 0);
        assertFalse(sink.calls.isEmpty());
        return true;
    }

    /** Whether it ended before it was terminated. */
    private static boolean triggerUntilTheEnd(
            final PublishSnowpipeStreaming processor,
            final TestRunner runner,
            final FakeSink sink,
            final Terminating sessions) {
        for (int trigger = 0; trigger < MOST_TRIGGERS; trigger++) {
            try {
                processor.onTrigger(runner.getProcessContext(), sessions);
            } catch (final TerminatedTaskException expected) {
                assertTrue(sessions.isTerminated());
            }
            // What was rolled back is in the queue again.
            if (sink.ended.get() > 0 && (runner.isQueueEmpty() || !sessions.isTerminated())) {
                return true;
            }
            if (sessions.isTerminated()) {
                return false;
            }
        }
        throw new AssertionError("neither terminated nor ended");
    }
}
