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
import io.shardflow.nifi.bridge.ErrorCode;
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.NativeException;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.nifi.logging.ComponentLog;

/**
 * Hands credentials of a service to an open source as long as it is open. By a thread of its own, because NiFi does not
 * trigger a processor whose queue is full, while leases and subscriptions need valid credentials all the time.
 */
final class CredentialFeed implements AutoCloseable {

    /** How often a service is asked that tells no expiry or a distant one: it may rotate earlier than it said. */
    static final Duration LONGEST = Duration.ofSeconds(30);
    /** How soon it is asked again after a failure and near an expiry. */
    static final Duration SHORTEST = Duration.ofSeconds(1);
    /** Asked this many times in the life of a token, so that some failures in a row do no harm. */
    private static final int TIMES = 4;

    private final Supplier<AwsKeys> service;
    private final KinesisSource source;
    private final ComponentLog log;
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(task -> {
        final Thread thread = new Thread(task, "shardflow-credentials");
        thread.setDaemon(true);
        return thread;
    });

    private CredentialFeed(final Supplier<AwsKeys> service, final KinesisSource source, final ComponentLog log) {
        this.service = service;
        this.source = source;
        this.log = log;
    }

    /** Starts at once, in the background. */
    static CredentialFeed start(final Supplier<AwsKeys> service, final KinesisSource source, final ComponentLog log) {
        final CredentialFeed feed = new CredentialFeed(service, source, log);
        feed.timer.execute(feed::renew);
        return feed;
    }

    /** Time until the service is asked again. */
    static Duration pause(final Instant expiry, final Instant now) {
        if (expiry == null) {
            return LONGEST;
        }
        final Duration part = Duration.between(now, expiry).dividedBy(TIMES);
        if (part.compareTo(SHORTEST) < 0) {
            return SHORTEST;
        }
        return part.compareTo(LONGEST) > 0 ? LONGEST : part;
    }

    private void renew() {
        Duration pause = SHORTEST;
        try {
            final AwsKeys keys = service.get();
            source.credentials(keys);
            pause = pause(keys.expiry(), Instant.now());
        } catch (final RuntimeException | LinkageError e) {
            if (e instanceof final NativeException refusal && refusal.errorCode() == ErrorCode.CLOSED) {
                log.debug("The source is being closed", e);
            } else {
                fail(e);
            }
        }
        try {
            timer.schedule(this::renew, pause.toMillis(), TimeUnit.MILLISECONDS);
        } catch (final RejectedExecutionException e) {
            log.debug("No more credentials are needed");
        }
    }

    private void fail(final Throwable cause) {
        try {
            source.noCredentials(cause.getMessage() == null ? cause.toString() : cause.getMessage());
        } catch (final NativeException e) {
            log.debug("The source is being closed", e);
        }
    }

    /** Ends the thread; a call of the service that is under way is interrupted and not waited for. */
    @Override
    public void close() {
        timer.shutdownNow();
    }
}
