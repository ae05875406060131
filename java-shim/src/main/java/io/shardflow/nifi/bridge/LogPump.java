/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves the native side's log lines into NiFi's log. One ring serves all processors of a loaded library, so the lines
 * go to a logger of their own instead of a processor's, where they would become bulletins of the wrong one.
 */
public final class LogPump {

    private static final int BUFFER_BYTES = 32 * 1024;
    private static final int MOST_ROUNDS = 16;
    private static final Logger NATIVE = LoggerFactory.getLogger("io.shardflow.native");

    private final ReentrantLock lock = new ReentrantLock();
    private final byte[] buffer = new byte[BUFFER_BYTES];

    /** Moves what is there; does nothing while another thread is at it. */
    public void pump(final Bridge bridge) {
        if (!lock.tryLock()) {
            return;
        }
        try {
            // Bounded, so that a chatty library cannot hold a NiFi thread.
            for (int round = 0; round < MOST_ROUNDS; round++) {
                final int bytes = bridge.drainLogs(buffer);
                if (bytes <= 0) {
                    return;
                }
                new String(buffer, 0, bytes, StandardCharsets.UTF_8).lines().forEach(LogPump::log);
            }
        } finally {
            lock.unlock();
        }
    }

    private static void log(final String line) {
        final int space = line.indexOf(' ');
        final String text = line.substring(space + 1);
        switch (space < 0 ? "" : line.substring(0, space)) {
            case "ERROR" -> NATIVE.error("{}", text);
            case "WARN" -> NATIVE.warn("{}", text);
            case "DEBUG" -> NATIVE.debug("{}", text);
            case "TRACE" -> NATIVE.trace("{}", text);
            case "INFO" -> NATIVE.info("{}", text);
            default -> NATIVE.info("{}", line);
        }
    }
}
