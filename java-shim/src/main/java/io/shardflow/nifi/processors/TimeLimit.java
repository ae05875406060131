/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/** Bounds calls of code that is not ours in time. */
final class TimeLimit {

    private TimeLimit() {}

    /**
     * What {@code call} gives within the limit; it is interrupted after that and no longer waited for.
     *
     * @param who named in the {@link IllegalStateException} of a call that takes longer
     */
    static <T> T get(final Supplier<T> call, final Duration limit, final String who) {
        final FutureTask<T> task = new FutureTask<>(call::get);
        final Thread thread = new Thread(task, "shardflow-call");
        thread.setDaemon(true);
        thread.start();
        try {
            return task.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (final TimeoutException e) {
            throw new IllegalStateException("%s did not answer within %d s".formatted(who, limit.toSeconds()), e);
        } catch (final ExecutionException e) {
            throw new IllegalStateException("%s failed: %s".formatted(who, e.getCause()), e.getCause());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("%s was not waited for".formatted(who), e);
        } finally {
            task.cancel(true);
        }
    }
}
