/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.util.List;
import java.util.Map;

/** An open sink: the writing end of one account. All methods may be called from several threads. */
public interface SnowpipeSink {

    /** Announces one FlowFile and returns the id of its upload. */
    long begin(Map<String, String> upload);

    /** Moves an upload on, waiting at most {@code waitMillis} for a change of its state. */
    Outcome advance(long upload, long waitMillis);

    /**
     * At most {@code most} uploads that began to want data or ended, each change told once and to one thread; waits at
     * most {@code waitMillis} while there is none.
     */
    List<Long> ready(int most, long waitMillis);

    /** Hands over content of an upload that wants data. */
    void write(long upload, byte[] buffer, int offset, int length);

    /** The content is complete. */
    void finishData(long upload);

    /**
     * Rows of an upload that take another way than the rest: those that fail are known when all content was handed over,
     * those that are invalid when the upload has ended.
     */
    List<Piece> pieces(long upload);

    /** What was counted since the last call, by the names of counters. */
    Map<String, Long> counters();

    /** The FlowFile goes back to its queue: forget the upload. */
    void abandon(long upload);

    /**
     * A stop is near: ends what waits for nothing but to know more of its rejected rows, and lets {@link #write} fail
     * instead of waiting for room.
     */
    void hurry();

    /** What the user should be told; each message is given once. */
    List<Message> messages();

    /** State as a JSON document in UTF-8. */
    byte[] status();

    /** Ends all uploads and connections. Idempotent. */
    void close(long graceMillis);
}
