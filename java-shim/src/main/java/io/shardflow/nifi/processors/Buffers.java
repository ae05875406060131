/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Byte arrays for copies across the boundary, as many as there are concurrent tasks. */
final class Buffers {

    /** Large enough that the cost of a crossing does not count, small enough to stay in the processor's cache. */
    static final int BYTES = 256 * 1024;

    private final Queue<byte[]> free = new ConcurrentLinkedQueue<>();

    byte[] take() {
        final byte[] buffer = free.poll();
        return buffer == null ? new byte[BYTES] : buffer;
    }

    void give(final byte[] buffer) {
        free.add(buffer);
    }

    void clear() {
        free.clear();
    }
}
