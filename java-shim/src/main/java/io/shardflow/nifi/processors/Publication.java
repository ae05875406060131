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
import io.shardflow.nifi.bridge.NativeException;
import io.shardflow.nifi.bridge.Outcome;
import io.shardflow.nifi.bridge.SnowpipeSink;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.processor.ProcessContext;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.ProcessSessionFactory;
import org.apache.nifi.processor.exception.FlowFileAccessException;
import org.apache.nifi.processor.exception.TerminatedTaskException;

/**
 * One run of the publisher, from its start to its stop: takes FlowFiles, moves their uploads on, ends them.
 *
 * <p>Several threads may be in {@link #trigger} at a time; each upload is touched by the one that has claimed it.
 */
final class Publication {

    /** FlowFiles taken in one trigger, so that those under way are looked after often. */
    static final int MOST_TAKEN = 200;
    /** Longest wait of a trigger that found nothing to do. */
    static final long IDLE_WAIT_MILLIS = 50;
    /** How often it looks for new FlowFiles meanwhile. */
    static final long LOOK_MILLIS = 8;
    /** Uploads looked after at once, so that concurrent tasks share what is to be done. */
    static final int MOST_READY = 2;

    private static final int MOST_ROUNDS = 50;
    /** Longest wait at a stop for what is handed over but not committed; it would otherwise be sent again. */
    static final long STOP_WAIT_MILLIS = 4_000;

    private static final long STEP_MILLIS = 250;

    private final SnowpipeSink sink;
    private final ComponentLog log;
    private final Ending ending;
    private final Uploads uploads = new Uploads();
    private final Buffers buffers = new Buffers();
    private volatile boolean stopping;

    Publication(final SnowpipeSink sink, final ComponentLog log) {
        this.sink = sink;
        this.log = log;
        this.ending = new Ending(sink, log);
    }

    SnowpipeSink sink() {
        return sink;
    }

    /** Does what can be done now; waits a moment, at most, when that is nothing. */
    void trigger(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        boolean progress = take(context, sessionFactory);
        progress |= attend(context, sessionFactory, uploads.again());
        progress |= attendReady(context, sessionFactory);
        if (!progress && (!uploads.isEmpty() || uploads.isLively())) {
            progress = await(context, sessionFactory);
        } else if (!progress) {
            context.yield();
        }
        if (progress) {
            uploads.moved();
        }
    }

    /**
     * Ends what can be ended within a bounded time and gives the rest back to the queue. NiFi's shutdown and its
     * terminations call this while threads are in {@link #trigger}; what one of them has claimed is left to it until the
     * time is over.
     */
    void stop() {
        stopping = true;
        hurry();
        final long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(STOP_WAIT_MILLIS);
        try {
            // What other threads have comes last, so that it does not cost the rest its time.
            awaitEnds(Upload::claim, deadline);
            awaitEnds(upload -> upload.claim(deadline), deadline);
        } finally {
            for (final Upload upload : uploads.all()) {
                // A thread that still has it does not come back: without this the FlowFile would be nobody's.
                if (upload.claim() || !upload.hasEnded()) {
                    giveBack(upload);
                    upload.unclaim();
                }
            }
            buffers.clear();
        }
    }

    private void awaitEnds(final Predicate<Upload> claim, final long deadline) {
        for (final Upload upload : uploads.all()) {
            if (claim.test(upload)) {
                try {
                    awaitEnd(upload, deadline);
                } finally {
                    upload.unclaim();
                }
            }
        }
    }

    private boolean take(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        final int most = Math.min(MOST_TAKEN, uploads.room());
        if (stopping || most == 0) {
            return false;
        }
        final ProcessSession intake = sessionFactory.createSession();
        try {
            sink.counters().forEach((name, added) -> intake.adjustCounter(name, added, true));
            final List<FlowFile> flowFiles = intake.get(most);
            for (final FlowFile flowFile : flowFiles) {
                if (flowFile.getSize() == 0) {
                    intake.transfer(flowFile, PublishSnowpipeStreaming.EMPTY);
                } else {
                    begin(context, sessionFactory, intake, flowFile);
                }
            }
            intake.commitAsync();
            return !flowFiles.isEmpty();
        } catch (final RuntimeException | Error e) {
            // What was begun has left this session and goes its own way.
            intake.rollback();
            throw e;
        }
    }

    private void begin(
            final ProcessContext context,
            final ProcessSessionFactory sessionFactory,
            final ProcessSession intake,
            final FlowFile flowFile) {
        final Map<String, String> destination;
        try {
            destination = Destination.of(context, flowFile);
        } catch (final IllegalArgumentException e) {
            fail(intake, flowFile, e);
            return;
        }
        final long id;
        try {
            id = sink.begin(destination);
        } catch (final NativeException e) {
            if (e.errorCode() != ErrorCode.CONFIG && e.errorCode() != ErrorCode.REJECTED) {
                throw e;
            }
            fail(intake, flowFile, e);
            return;
        }
        try {
            final ProcessSession own = sessionFactory.createSession();
            intake.migrate(own, List.of(flowFile));
            uploads.add(new Upload(id, own, flowFile));
        } catch (final RuntimeException | Error e) {
            abandon(id);
            throw e;
        }
    }

    /** What the FlowFile itself says cannot be used; the others go on. */
    private void fail(final ProcessSession intake, final FlowFile flowFile, final RuntimeException cause) {
        log.error("{} cannot be published: {}", flowFile, cause.getMessage());
        intake.transfer(Ending.annotate(intake, flowFile, 0, cause.getMessage()), PublishSnowpipeStreaming.FAILURE);
    }

    private boolean attendReady(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        boolean progress = false;
        List<Long> ready = sink.ready(MOST_READY, 0);
        for (int round = 1; !ready.isEmpty(); round++) {
            progress |= attend(context, sessionFactory, uploads.of(ready));
            final boolean more = ready.size() == MOST_READY && round < MOST_ROUNDS;
            ready = more ? sink.ready(MOST_READY, 0) : List.of();
        }
        return progress;
    }

    private boolean attend(
            final ProcessContext context, final ProcessSessionFactory sessionFactory, final List<Upload> candidates) {
        boolean progress = false;
        for (final Upload upload : candidates) {
            if (upload.claim()) {
                progress |= advance(context, sessionFactory, upload);
            } else if (!upload.hasEnded()) {
                uploads.later(upload);
            }
        }
        return progress;
    }

    /** Waits until an upload is to be looked after or a FlowFile has come; true when an upload moved. */
    private boolean await(final ProcessContext context, final ProcessSessionFactory sessionFactory) {
        final ProcessSession look = sessionFactory.createSession();
        try {
            final int before = look.getQueueSize().getObjectCount();
            for (long waited = 0; waited < IDLE_WAIT_MILLIS; waited += LOOK_MILLIS) {
                final List<Long> ready = sink.ready(MOST_READY, LOOK_MILLIS);
                if (!ready.isEmpty()) {
                    return attend(context, sessionFactory, uploads.of(ready));
                }
                if (look.getQueueSize().getObjectCount() > before) {
                    return false;
                }
            }
            return false;
        } finally {
            look.rollback();
        }
    }

    /** Moves a claimed upload one step on; whatever goes wrong with it must not keep the others from their turn. */
    private boolean advance(
            final ProcessContext context, final ProcessSessionFactory sessionFactory, final Upload upload) {
        try {
            final Outcome outcome = sink.advance(upload.id(), 0);
            if (outcome.stateOf() != Outcome.State.WANT_DATA) {
                return step(upload, outcome);
            }
            upload.moveTo(Outcome.State.WANT_DATA);
            sendOrLearnWhyNot(upload, sessionFactory);
            return true;
        } catch (final TerminatedTaskException | Error e) {
            // Half of the content may have been handed over, so the upload must not go on.
            giveBack(upload);
            throw e;
        } catch (final FlowFileAccessException e) {
            log.error("{} is penalized: its content cannot be read", upload.flowFile(), e);
            giveBack(upload, true);
            return true;
        } catch (final RuntimeException | IOException e) {
            log.error("{} goes back to its queue", upload.flowFile(), e);
            giveBack(upload);
            context.yield();
            return false;
        } finally {
            upload.unclaim();
        }
    }

    /** Does what the outcome asks for; true when anything moved. */
    private boolean step(final Upload upload, final Outcome outcome) throws IOException {
        final Outcome.State state = outcome.stateOf();
        switch (state) {
            case WAITING, WANT_DATA, IN_FLIGHT -> {
                return upload.moveTo(state);
            }
            case RETRY -> {
                log.debug("{} is begun again: {}", upload.flowFile(), outcome.message());
                giveBack(upload);
            }
            case COMMITTED, INVALID, FAILED -> end(upload, outcome);
        }
        upload.moveTo(state);
        return true;
    }

    private void sendOrLearnWhyNot(final Upload upload, final ProcessSessionFactory sessionFactory) throws IOException {
        try {
            send(upload);
            upload.moveTo(Outcome.State.IN_FLIGHT);
            upload.renewSession(sessionFactory.createSession());
        } catch (final NativeException e) {
            final Outcome outcome = sink.advance(upload.id(), 0);
            if (outcome.stateOf().isTerminal()) {
                step(upload, outcome);
            } else if (e.errorCode().isRetryable()) {
                log.info("{} is begun again: {}", upload.flowFile(), e.getMessage());
                giveBack(upload);
            } else {
                throw e;
            }
        }
    }

    private void send(final Upload upload) throws IOException {
        final byte[] buffer = buffers.take();
        try (InputStream content = upload.session().read(upload.flowFile())) {
            for (int bytes = fill(content, buffer); bytes > 0; bytes = fill(content, buffer)) {
                sink.write(upload.id(), buffer, 0, bytes);
            }
            sink.finishData(upload.id());
        } finally {
            buffers.give(buffer);
        }
    }

    private static int fill(final InputStream content, final byte[] buffer) throws IOException {
        try {
            return content.readNBytes(buffer, 0, buffer.length);
        } catch (final IOException e) {
            throw new FlowFileAccessException("Content cannot be read", e);
        }
    }

    private void end(final Upload upload, final Outcome outcome) throws IOException {
        ending.of(upload, outcome);
        uploads.remove(upload);
    }

    /** Of a claimed upload. */
    private void awaitEnd(final Upload upload, final long deadline) {
        try {
            while (upload.state() == Outcome.State.IN_FLIGHT) {
                final long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
                step(upload, sink.advance(upload.id(), Math.clamp(left, 0, STEP_MILLIS)));
                if (left <= 0) {
                    return;
                }
            }
        } catch (final RuntimeException | IOException e) {
            log.debug("{} goes back to its queue", upload.flowFile(), e);
            giveBack(upload);
        }
    }

    /** A stop is near: no thread waits in the sink any more. */
    void hurry() {
        try {
            sink.hurry();
        } catch (final NativeException e) {
            log.debug("The sink had ended", e);
        }
    }

    /** Without penalty, so that the FlowFile keeps its place in the queue. */
    private void giveBack(final Upload upload) {
        giveBack(upload, false);
    }

    private void giveBack(final Upload upload, final boolean penalize) {
        uploads.remove(upload);
        abandon(upload.id());
        try {
            upload.session().rollback(penalize);
        } catch (final RuntimeException e) {
            log.debug("The session of {} had ended", upload.flowFile(), e);
        }
    }

    private void abandon(final long id) {
        try {
            sink.abandon(id);
        } catch (final NativeException e) {
            log.debug("Upload {} had ended", id, e);
        }
    }
}
