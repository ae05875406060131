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

/**
 * Everything the processors ask of the native side; configuration is by property name, durations in milliseconds, sizes
 * in bytes. An interface, so that the processors can be tested without native code.
 */
public interface Bridge {

    /** Opens a source and returns at once: whatever is slow goes on in the background. */
    KinesisSource openSource(Map<String, String> config);

    /** Opens a sink and returns at once: whatever is slow goes on in the background. */
    SnowpipeSink openSink(Map<String, String> config);

    /** Checks a source's configuration against the services, without side effects. May take many seconds. */
    List<Finding> verifySource(Map<String, String> config);

    /** Checks a sink's configuration against the service, without side effects. May take many seconds. */
    List<Finding> verifySink(Map<String, String> config);

    /** Removes the fan-out consumer that this configuration registered; answers what the user should know. */
    List<Message> deregisterConsumer(Map<String, String> config);

    /** See {@link LogPump}: complete UTF-8 log lines, the number of bytes copied. */
    int drainLogs(byte[] buffer);

    /** The native implementation; loads the library at the first call and throws {@link NativeException} if it cannot. */
    static Bridge load() {
        return NativeBridge.instance();
    }
}
