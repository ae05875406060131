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
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.NativeException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.nifi.logging.ComponentLog;

/** Tells the source once how a batch ended, although a failed commit is reported by callback and by exception. */
final class Settlement {

    private final KinesisSource source;
    private final long batch;
    private final ComponentLog log;
    private final AtomicBoolean settled = new AtomicBoolean();

    Settlement(final KinesisSource source, final long batch, final ComponentLog log) {
        this.source = source;
        this.batch = batch;
        this.log = log;
    }

    void committed() {
        settle(true);
    }

    void notCommitted() {
        settle(false);
    }

    // A failure here must not undo what NiFi has stored: unsettled records are read again, and are known downstream.
    private void settle(final boolean committed) {
        if (!settled.compareAndSet(false, true)) {
            return;
        }
        try {
            source.settle(batch, committed);
        } catch (final NativeException e) {
            if (e.errorCode() == ErrorCode.CLOSED) {
                log.debug("The source was closed before a batch was settled; its records are read again", e);
            } else {
                log.warn("The position of a batch could not be recorded; its records are read again", e);
            }
        }
    }
}
