/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.AwsKeys;
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.Message;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.PartHeader;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Hands out prepared batches. */
final class FakeSource implements KinesisSource {

    final Queue<List<PartHeader>> batches = new ArrayDeque<>();
    final Map<String, byte[]> contents = new HashMap<>();
    final List<Message> messages = new ArrayList<>();
    /** Batch id and whether it was committed, in order. */
    final List<Map.Entry<Long, Boolean>> settled = new ArrayList<>();

    final Map<String, Long> counters = new HashMap<>();
    final List<String> calls = new ArrayList<>();
    final BlockingQueue<AwsKeys> given = new LinkedBlockingQueue<>();
    final BlockingQueue<String> refusals = new LinkedBlockingQueue<>();
    NativeException pollFailure;
    NativeException readFailure;
    RuntimeException messagesFailure;
    /** Thrown at the next hand-over of credentials. */
    NativeException credentialsFailure;

    boolean mayCommit = true;
    /** What each poll was ready to wait. */
    final List<Long> waits = new ArrayList<>();

    int largestRead;

    /** Adds a batch of one part. */
    FakeSource offer(final long batch, final boolean failed, final byte[] content, final String... attributes) {
        contents.put(batch + "/0", content);
        batches.add(List.of(new PartHeader(batch, 0, failed, content.length, 3, "kinesis://stream/shard", attributes)));
        return this;
    }

    /** Adds a batch of many parts, each with one record. */
    FakeSource offerAll(final long batch, final List<byte[]> parts) {
        final List<PartHeader> headers = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            contents.put(batch + "/" + i, parts.get(i));
            final String[] attributes = {"aws.kinesis.first.sequence.number", Integer.toString(i)};
            headers.add(new PartHeader(batch, i, false, parts.get(i).length, 1, "kinesis://stream/shard", attributes));
        }
        batches.add(headers);
        return this;
    }

    @Override
    public List<PartHeader> poll(final long waitMillis) {
        waits.add(waitMillis);
        if (pollFailure != null) {
            throw pollFailure;
        }
        final List<PartHeader> batch = batches.poll();
        return batch == null ? List.of() : batch;
    }

    @Override
    public int read(
            final PartHeader part, final long position, final byte[] buffer, final int offset, final int length) {
        if (readFailure != null && position > 0) {
            throw readFailure;
        }
        final byte[] content = contents.get(part.batch() + "/" + part.part());
        final int bytes = Math.min(length, content.length - Math.toIntExact(position));
        if (bytes <= 0) {
            return -1;
        }
        largestRead = Math.max(largestRead, bytes);
        System.arraycopy(content, Math.toIntExact(position), buffer, offset, bytes);
        return bytes;
    }

    @Override
    public boolean mayCommit(final long batch) {
        calls.add("may-commit " + batch);
        return mayCommit;
    }

    @Override
    public void settle(final long batch, final boolean committed) {
        settled.add(Map.entry(batch, committed));
    }

    @Override
    public List<Message> messages() {
        if (messagesFailure != null) {
            throw messagesFailure;
        }
        final List<Message> drained = List.copyOf(messages);
        messages.clear();
        return drained;
    }

    @Override
    public Map<String, Long> counters() {
        final Map<String, Long> drained = Map.copyOf(counters);
        counters.clear();
        return drained;
    }

    @Override
    public void credentials(final AwsKeys keys) {
        final NativeException failure = credentialsFailure;
        credentialsFailure = null;
        if (failure != null) {
            throw failure;
        }
        given.add(keys);
    }

    @Override
    public void noCredentials(final String reason) {
        refusals.add(reason);
    }

    @Override
    public void stopFetching() {
        calls.add("stop-fetching");
    }

    @Override
    public byte[] status() {
        return new byte[] {'{', '}'};
    }

    @Override
    public void close(final long graceMillis) {
        calls.add("close " + graceMillis);
    }
}
