/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Outcome;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.processor.ProcessSession;

/**
 * A FlowFile on its way to the table, with a session of its own so that no other has to wait for it. Only the thread
 * that has claimed it may touch it.
 */
final class Upload {

    private static final long CLAIM_STEP_NANOS = 1_000_000;

    private final long id;
    private final FlowFile flowFile;
    private final long startNanos = System.nanoTime();
    private final AtomicBoolean claimed = new AtomicBoolean();

    private ProcessSession session;
    private long inFlightNanos;
    private Outcome.State state = Outcome.State.WAITING;
    private volatile boolean ended;

    Upload(final long id, final ProcessSession session, final FlowFile flowFile) {
        this.id = id;
        this.session = session;
        this.flowFile = flowFile;
    }

    long id() {
        return id;
    }

    ProcessSession session() {
        return session;
    }

    /**
     * Goes on in a fresh session and ends the present one: NiFi's sessions keep the file of the content that was read
     * last open until they end, and thousands of uploads may be under way.
     */
    void renewSession(final ProcessSession fresh) {
        final ProcessSession former = session;
        former.migrate(fresh, List.of(flowFile));
        session = fresh;
        former.commitAsync();
    }

    FlowFile flowFile() {
        return flowFile;
    }

    long elapsedMillis() {
        return (System.nanoTime() - startNanos) / 1_000_000;
    }

    /** Since its content was handed over; 0 when it was not. */
    long inFlightMillis() {
        return inFlightNanos == 0 ? 0 : (System.nanoTime() - inFlightNanos) / 1_000_000;
    }

    /** Reserves the upload for the calling thread; false when another has it or it has ended. */
    boolean claim() {
        if (!claimed.compareAndSet(false, true)) {
            return false;
        }
        if (ended) {
            claimed.set(false);
            return false;
        }
        return true;
    }

    /** As {@link #claim()}, waiting for another thread until the deadline, in {@link System#nanoTime} terms. */
    boolean claim(final long deadline) {
        while (!claim()) {
            if (ended || System.nanoTime() - deadline >= 0) {
                return false;
            }
            LockSupport.parkNanos(CLAIM_STEP_NANOS);
        }
        return true;
    }

    /** Only a hint while another thread has claimed it. */
    boolean hasEnded() {
        return ended;
    }

    void unclaim() {
        claimed.set(false);
    }

    /** Remembers the state and tells whether it is another than before. */
    boolean moveTo(final Outcome.State next) {
        final boolean changed = state != next;
        if (changed && next == Outcome.State.IN_FLIGHT && inFlightNanos == 0) {
            inFlightNanos = System.nanoTime();
        }
        state = next;
        return changed;
    }

    /** Last state that was seen. */
    Outcome.State state() {
        return state;
    }

    void end() {
        ended = true;
    }
}
