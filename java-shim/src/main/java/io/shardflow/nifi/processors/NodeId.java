/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.apache.nifi.components.state.Scope;
import org.apache.nifi.components.state.StateManager;
import org.apache.nifi.components.state.StateMap;

/**
 * Id of one processor on one NiFi node. Local state belongs to exactly that, also when two nodes share a host, and
 * outlives restarts: a node that comes back finds its own leases.
 */
final class NodeId {

    /** State key. */
    static final String KEY = "node.id";

    private NodeId() {}

    /** The stored id; a fresh one is stored at the first call. */
    static String of(final StateManager stateManager) throws IOException {
        final StateMap state = stateManager.getState(Scope.LOCAL);
        final String stored = state.get(KEY);
        if (stored != null) {
            return stored;
        }
        final String fresh = UUID.randomUUID().toString();
        final Map<String, String> values = new HashMap<>(state.toMap());
        values.put(KEY, fresh);
        stateManager.setState(values, Scope.LOCAL);
        return fresh;
    }
}
