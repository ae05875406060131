/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.Message;
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.Outcome;
import io.shardflow.nifi.bridge.Outcome.State;
import io.shardflow.nifi.bridge.Piece;
import io.shardflow.nifi.bridge.SnowpipeSink;
import java.io.ByteArrayOutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.LongConsumer;

/** Walks uploads through prepared states; the last state stays. */
final class FakeSink implements SnowpipeSink {

    static final String TRANSIT_URI = "https://host/v2/streaming/databases/D/schemas/S/pipes/T-STREAMING/channels/c";

    final List<Map<String, String>> begun = Collections.synchronizedList(new ArrayList<>());
    final List<Long> abandoned = Collections.synchronizedList(new ArrayList<>());
    final Map<Long, ByteArrayOutputStream> written = new ConcurrentHashMap<>();
    final Map<Long, Integer> finished = new ConcurrentHashMap<>();
    final List<String> calls = Collections.synchronizedList(new ArrayList<>());
    final List<Piece> pieces = new ArrayList<>();
    final Map<String, Long> counters = new ConcurrentHashMap<>();
    final List<Message> messages = new ArrayList<>();
    final AtomicLong ended = new AtomicLong();
    final AtomicLong longestWait = new AtomicLong();

    /** The states of an upload, by what it was announced with. */
    Function<Map<String, String>, List<State>> script =
            upload -> List.of(State.WAITING, State.WANT_DATA, State.IN_FLIGHT, State.COMMITTED);

    NativeException beginFailure;
    NativeException writeFailure;
    /** Thrown by a write after it has taken the content. */
    Error writeError;
    /** There is no room for content. */
    boolean full;

    /** Runs when an upload ends, with its id. */
    LongConsumer onEnd = upload -> {};

    RuntimeException messagesFailure;
    final CountDownLatch waiting = new CountDownLatch(1);
    long rowErrors;
    long rowsSent = 2;
    String message;

    private final Map<Long, Deque<State>> scripts = new ConcurrentHashMap<>();
    private final CountDownLatch hurried = new CountDownLatch(1);
    private final AtomicLong ids = new AtomicLong();

    @Override
    public long begin(final Map<String, String> upload) {
        if (beginFailure != null) {
            throw beginFailure;
        }
        begun.add(upload);
        final long id = ids.incrementAndGet();
        scripts.put(id, new ArrayDeque<>(script.apply(upload)));
        return id;
    }

    @Override
    public Outcome advance(final long upload, final long waitMillis) {
        longestWait.accumulateAndGet(waitMillis, Math::max);
        final Deque<State> states = scripts.get(upload);
        if (states == null) {
            throw new NativeException(ErrorCode.NOT_FOUND.code(), "no upload " + upload);
        }
        synchronized (states) {
            final State state = states.size() > 1 ? states.poll() : states.peek();
            if (state.isTerminal()) {
                scripts.remove(upload);
                ended.incrementAndGet();
                onEnd.accept(upload);
            }
            return new Outcome(state.ordinal(), rowsSent, 1, rowErrors, message, TRANSIT_URI);
        }
    }

    /** Every upload that has not ended has moved. */
    @Override
    public List<Long> ready(final int most, final long waitMillis) {
        longestWait.accumulateAndGet(waitMillis, Math::max);
        return scripts.keySet().stream().sorted().toList();
    }

    @Override
    public void write(final long upload, final byte[] buffer, final int offset, final int length) {
        if (writeFailure != null) {
            throw writeFailure;
        }
        if (full) {
            waitForRoom();
        }
        written.computeIfAbsent(upload, id -> new ByteArrayOutputStream()).write(buffer, offset, length);
        if (writeError != null) {
            throw writeError;
        }
    }

    @Override
    public void finishData(final long upload) {
        finished.merge(upload, 1, Integer::sum);
    }

    @Override
    public List<Piece> pieces(final long upload) {
        return List.copyOf(pieces);
    }

    @Override
    public Map<String, Long> counters() {
        final Map<String, Long> drained = Map.copyOf(counters);
        counters.clear();
        return drained;
    }

    @Override
    public void abandon(final long upload) {
        abandoned.add(upload);
        scripts.remove(upload);
    }

    @Override
    public void hurry() {
        calls.add("hurry");
        hurried.countDown();
    }

    private void waitForRoom() {
        waiting.countDown();
        try {
            if (!hurried.await(20, TimeUnit.SECONDS)) {
                throw new AssertionError("nobody ended the wait");
            }
        } catch (final InterruptedException e) {
            throw new IllegalStateException(e);
        }
        throw new NativeException(ErrorCode.THROTTLED.code(), "no room");
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
    public byte[] status() {
        return new byte[] {'{', '}'};
    }

    @Override
    public void close(final long graceMillis) {
        calls.add("close " + graceMillis);
    }
}
