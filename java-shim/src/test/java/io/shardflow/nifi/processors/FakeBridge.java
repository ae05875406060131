/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Bridge;
import io.shardflow.nifi.bridge.Finding;
import io.shardflow.nifi.bridge.KinesisSource;
import io.shardflow.nifi.bridge.Message;
import io.shardflow.nifi.bridge.SnowpipeSink;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Stands in for the native side; keeps what it was told. */
final class FakeBridge implements Bridge {

    final List<Map<String, String>> configurations = new ArrayList<>();
    final List<Map<String, String>> deregistered = new ArrayList<>();
    final FakeSource source = new FakeSource();
    final FakeSink sink = new FakeSink();
    List<Finding> findings = List.of();
    /** Runs before a deregistration. */
    Runnable onDeregister = () -> {};

    @Override
    public KinesisSource openSource(final Map<String, String> config) {
        configurations.add(config);
        return source;
    }

    @Override
    public SnowpipeSink openSink(final Map<String, String> config) {
        configurations.add(config);
        return sink;
    }

    @Override
    public List<Finding> verifySource(final Map<String, String> config) {
        configurations.add(config);
        return findings;
    }

    @Override
    public List<Finding> verifySink(final Map<String, String> config) {
        configurations.add(config);
        return findings;
    }

    @Override
    public List<Message> deregisterConsumer(final Map<String, String> config) {
        onDeregister.run();
        deregistered.add(config);
        return List.of();
    }

    @Override
    public int drainLogs(final byte[] buffer) {
        return 0;
    }
}
