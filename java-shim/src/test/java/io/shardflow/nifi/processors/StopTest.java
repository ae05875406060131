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

import io.shardflow.nifi.bridge.Outcome.State;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.nifi.processor.ProcessSessionFactory;
import org.apache.nifi.util.TestRunner;
import org.junit.jupiter.api.Test;

/** The end of a run, with threads that are still at it and with calls that fail. */
class StopTest {

    private static final String ROWS = "{\"a\":1}\n";
    private static final long LIMIT_SECONDS = 20;

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private final PublishSnowpipeStreaming publisher = new PublishSnowpipeStreaming(() -> bridge);
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch released = new CountDownLatch(1);

    @Test
    void aStopWaitsForTheThreadThatHasJustLearntOfAnEnd() throws Exception {
        sink.script = upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.COMMITTED);
        final TestRunner runner = started(1);
        sink.onEnd = upload -> hold();
        final CompletableFuture<Void> trigger = trigger(runner, runner.getProcessSessionFactory());
        final Thread stop = stop();
        released.countDown();
        trigger.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        stop.join();

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertTrue(runner.isQueueEmpty());
        assertEquals(List.of(), sink.abandoned);
    }

    @Test
    void theSinkIsClosedAfterTheEndingOfAnUpload() throws Exception {
        sink.script = upload -> List.of(State.COMMITTED);
        final TestRunner runner = started(1);
        final ProcessSessionFactory sessions =
                () -> Sessions.watched(runner.getProcessSessionFactory().createSession(), "adjustCounter", args -> {
                    if ("Rows Skipped".equals(args[0])) {
                        hold();
                        sink.calls.add("ended");
                    }
                });
        final CompletableFuture<Void> trigger = trigger(runner, sessions);
        final Thread stop = stop();
        released.countDown();
        trigger.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        stop.join();

        runner.assertAllFlowFilesTransferred(PublishSnowpipeStreaming.SUCCESS, 1);
        assertEquals(List.of("hurry", "ended", "close 4000"), sink.calls);
    }

    @Test
    void aThreadThatNeverComesBackDelaysAStopByAFewSeconds() throws Exception {
        sink.script = upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.COMMITTED);
        final TestRunner runner = started(2);
        sink.onEnd = upload -> {
            if (upload == 1) {
                hold();
            }
        };
        final CompletableFuture<Void> trigger = trigger(runner, runner.getProcessSessionFactory());
        stop().join(TimeUnit.SECONDS.toMillis(LIMIT_SECONDS));

        assertEquals("close 4000", sink.calls.getLast());
        assertEquals(List.of(1L), sink.abandoned);
        assertEquals(1, runner.getQueueSize().getObjectCount(), "the one that the thread has");
        runner.assertTransferCount(PublishSnowpipeStreaming.SUCCESS, 1);
        released.countDown();
        trigger.get(LIMIT_SECONDS, TimeUnit.SECONDS);
    }

    @Test
    void theSourceIsClosedWhateverFailsBefore() {
        final ConsumeKinesis consumer = new ConsumeKinesis(() -> bridge);
        final TestRunner runner = ConsumeKinesisTest.configured(consumer);
        runner.run(1, false, true);
        bridge.source.messagesFailure = new IllegalStateException("no messages");
        assertThrows(IllegalStateException.class, consumer::close);

        assertEquals(List.of("close 5000"), bridge.source.calls);
        consumer.close();
        assertEquals(List.of("close 5000"), bridge.source.calls);
    }

    @Test
    void theSinkIsClosedWhateverFailsBefore() {
        sink.script = upload -> List.of(State.WAITING);
        final TestRunner runner = started(2);
        runner.run(1, false, false);
        sink.messagesFailure = new IllegalStateException("no messages");
        assertThrows(IllegalStateException.class, publisher::close);

        assertEquals(List.of("hurry", "close 4000"), sink.calls);
        assertEquals(Set.of(1L, 2L), new HashSet<>(sink.abandoned));
        assertEquals(2, runner.getQueueSize().getObjectCount());
    }

    private TestRunner started(final int flowFiles) {
        final TestRunner runner = PublishSnowpipeStreamingTest.configured(publisher);
        Queues.enqueue(runner, ROWS, flowFiles);
        runner.run(0, false, true);
        return runner;
    }

    /** Triggers in a thread of its own until one of its steps is held. */
    private CompletableFuture<Void> trigger(final TestRunner runner, final ProcessSessionFactory sessions)
            throws InterruptedException {
        final CompletableFuture<Void> trigger = CompletableFuture.runAsync(() -> {
            while (released.getCount() > 0) {
                publisher.onTrigger(runner.getProcessContext(), sessions);
            }
        });
        assertTrue(reached.await(LIMIT_SECONDS, TimeUnit.SECONDS));
        return trigger;
    }

    /** A stop that waits or, if it does not, has ended. */
    private Thread stop() {
        final Thread stop = new Thread(publisher::close, "stop");
        stop.start();
        until(() -> !stop.isAlive() || stop.getState() == Thread.State.TIMED_WAITING);
        return stop;
    }

    private void hold() {
        reached.countDown();
        try {
            assertTrue(released.await(LIMIT_SECONDS, TimeUnit.SECONDS));
        } catch (final InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void until(final BooleanSupplier condition) {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < deadline, "in time");
            Thread.onSpinWait();
        }
    }
}
