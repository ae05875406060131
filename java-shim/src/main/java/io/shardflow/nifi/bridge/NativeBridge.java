/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** {@link Bridge} by way of {@link Native}. */
final class NativeBridge implements Bridge {

    private static final int FINDING_FIELDS = 3;
    private static final NativeBridge INSTANCE = new NativeBridge();

    private NativeBridge() {}

    static NativeBridge instance() {
        NativeLibrary.load();
        return INSTANCE;
    }

    @Override
    public KinesisSource openSource(final Map<String, String> config) {
        return new NativeSource(Native.openSource(NativeHandle.pairs(config)));
    }

    @Override
    public SnowpipeSink openSink(final Map<String, String> config) {
        return new NativeSink(Native.openSink(NativeHandle.pairs(config)));
    }

    @Override
    public List<Finding> verifySource(final Map<String, String> config) {
        return verify("verify-source", config);
    }

    @Override
    public List<Finding> verifySink(final Map<String, String> config) {
        return verify("verify-sink", config);
    }

    @Override
    public List<Message> deregisterConsumer(final Map<String, String> config) {
        return NativeHandle.messages(Native.control(0, NativeHandle.pairs(config, "deregister")));
    }

    @Override
    public int drainLogs(final byte[] buffer) {
        return Native.drainLogs(buffer);
    }

    private static List<Finding> verify(final String command, final Map<String, String> config) {
        final String[] fields = Native.control(0, NativeHandle.pairs(config, command));
        final List<Finding> findings = new ArrayList<>();
        for (int i = 0; i + 2 < fields.length; i += FINDING_FIELDS) {
            findings.add(new Finding(fields[i], Finding.Outcome.valueOf(fields[i + 1]), fields[i + 2]));
        }
        return findings;
    }
}
