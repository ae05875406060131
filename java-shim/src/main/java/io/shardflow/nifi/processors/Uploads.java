/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.Collection;
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

    private final ConcurrentNavigableMap<Long, Upload> pending = new ConcurrentSkipListMap<>();
    private final AtomicInteger count = new AtomicInteger();
    private final LongSupplier nanos;
    private final AtomicLong movedNanos;

    Uploads() {
        this(System::nanoTime);
    }

    Uploads(final LongSupplier nanos) {
        this.nanos = nanos;
        this.movedNanos = new AtomicLong(nanos.getAsLong());
    }

    /** Counts itself: a skip list does not know its size. */
    void add(final Upload upload) {
        pending.put(upload.id(), upload);
        count.incrementAndGet();
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
