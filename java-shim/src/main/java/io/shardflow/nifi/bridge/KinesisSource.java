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

/** An open source: the reading end of one stream. All methods may be called from several threads. */
public interface KinesisSource {

    /** Takes the next batch, waiting at most {@code waitMillis}; empty when nothing got ready. */
    List<PartHeader> poll(long waitMillis);

    /** Copies content of a part from {@code position} on; -1 when {@code position} is at its end. */
    int read(PartHeader part, long position, byte[] buffer, int offset, int length);

    /**
     * Whether the commit of a batch may begin now; to be asked right before. When not, the batch is given back: another
     * node may own its shard by the time the commit ends.
     */
    boolean mayCommit(long batch);

    /** Ends a batch. Only a committed one moves the stored position; an uncommitted one is delivered again. */
    void settle(long batch, boolean committed);

    /** What the user should be told; each message is given once. */
    List<Message> messages();

    /** What was counted since the last call, by the names of counters. */
    Map<String, Long> counters();

    /** Signs with these from now on. */
    void credentials(AwsKeys keys);

    /** There are no newer credentials at the moment, and why. */
    void noCredentials(String reason);

    /** Lets {@link #poll} end soon; what was handed out can still be settled. */
    void stopFetching();

    /** State as a JSON document in UTF-8. */
    byte[] status();

    /** Stores positions, gives shards back; what is not settled counts as not committed. Idempotent. */
    void close(long graceMillis);
}
