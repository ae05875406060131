/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * The uploads under way, oldest first.
 *
 * <p>Their number is bounded, so that most FlowFiles stay in the queue, where NiFi can swap, list and prioritise them.
 * NiFi's back-pressure counts both. A FlowFile that waits holds no content in memory. When everything under way waits
 * for something that is still in the queue, such as rows of a gap, only taking more can help: then the bound is lifted.
 */
final class Uploads {

    /** Enough for the commit latency of Snowflake at hundreds of FlowFiles a second. */
    static final int USUAL_LIMIT = 5_000;
    /** Reached only while nothing moves. */
    static final int STALLED_LIMIT = 50_000;
    /** How long nothing must have moved. */
    static final long STALL_NANOS = 1_000_000_000L;

    /** How often all are looked at, whatever is known of them. */
    static final long ROUND_NANOS = 1_000_000_000L;

    private final ConcurrentNavigableMap<Long, Upload> pending = new ConcurrentSkipListMap<>();
    private final Queue<Upload> again = new ConcurrentLinkedQueue<>();
    private final Set<Long> early = ConcurrentHashMap.newKeySet();
    private final AtomicLong roundNanos;
    private final AtomicInteger count = new AtomicInteger();
    private final LongSupplier nanos;
    private final AtomicLong movedNanos;

    Uploads() {
        this(System::nanoTime);
    }

    Uploads(final LongSupplier nanos) {
        this.nanos = nanos;
        this.movedNanos = new AtomicLong(nanos.getAsLong());
        this.roundNanos = new AtomicLong(nanos.getAsLong());
    }

    /** Counts itself: a skip list does not know its size. */
    void add(final Upload upload) {
        pending.put(upload.id(), upload);
        count.incrementAndGet();
        if (early.remove(upload.id())) {
            again.add(upload);
        }
    }

    /** Those of the ids that are under way here; one that comes so soon that it is not, yet, is remembered. */
    List<Upload> of(final List<Long> ids) {
        final List<Upload> found = new ArrayList<>(ids.size());
        for (final Long id : ids) {
            Upload upload = pending.get(id);
            if (upload == null) {
                early.add(id);
                // Between the look and the note.
                upload = pending.get(id);
            }
            if (upload != null) {
                early.remove(id);
                found.add(upload);
            }
        }
        return found;
    }

    /** Another thread is busy with it: it is to be looked at once more. */
    void later(final Upload upload) {
        again.add(upload);
    }

    /** What is to be looked at once more; now and then that is everything, so that nothing can be forgotten. */
    List<Upload> again() {
        final long round = roundNanos.get();
        final long now = nanos.getAsLong();
        if (now - round > ROUND_NANOS && roundNanos.compareAndSet(round, now)) {
            again.clear();
            early.clear();
            return List.copyOf(pending.values());
        }
        final List<Upload> taken = new ArrayList<>();
        for (Upload upload = again.poll(); upload != null; upload = again.poll()) {
            taken.add(upload);
        }
        return taken;
    }

    /** Whether something moved lately, so that more is to be expected soon. */
    boolean isLively() {
        return nanos.getAsLong() - movedNanos.get() < STALL_NANOS;
    }

    void remove(final Upload upload) {
        upload.end();
        if (pending.remove(upload.id(), upload)) {
            count.decrementAndGet();
        }
    }

    Collection<Upload> all() {
        return pending.values();
    }

    boolean isEmpty() {
        return pending.isEmpty();
    }

    /** Some upload changed its state. */
    void moved() {
        movedNanos.set(nanos.getAsLong());
    }

    /** How many more may be taken now. */
    int room() {
        final boolean stalled = nanos.getAsLong() - movedNanos.get() > STALL_NANOS;
        return Math.max(0, (stalled ? STALLED_LIMIT : USUAL_LIMIT) - count.get());
    }
}
