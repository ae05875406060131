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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/** Id of something open on the native side, and what both kinds have in common. */
class NativeHandle {

    private static final int MESSAGE_FIELDS = 2;

    private final long id;
    private final AtomicBoolean closed = new AtomicBoolean();

    NativeHandle(final long id) {
        this.id = id;
    }

    /** The id; native code itself refuses a closed one, so a race with {@link #close} is harmless. */
    long id() {
        return id;
    }

    public List<Message> messages() {
        return messages(Native.control(id, new String[] {"messages"}));
    }

    /** What was counted since the last call, by the names of counters. */
    public Map<String, Long> counters() {
        final String[] fields = Native.control(id, new String[] {"counters"});
        final Map<String, Long> counters = new LinkedHashMap<>();
        for (int i = 0; fields != null && i + 1 < fields.length; i += 2) {
            counters.put(fields[i], Long.valueOf(fields[i + 1]));
        }
        return counters;
    }

    public byte[] status() {
        return Native.status(id);
    }

    public void close(final long graceMillis) {
        if (closed.compareAndSet(false, true)) {
            Native.close(id, graceMillis);
        }
    }

    static List<Message> messages(final String[] fields) {
        final List<Message> messages = new ArrayList<>();
        for (int i = 0; fields != null && i + 1 < fields.length; i += MESSAGE_FIELDS) {
            messages.add(new Message(Message.Level.valueOf(fields[i]), fields[i + 1]));
        }
        return messages;
    }

    /** Flattens a map into pairs behind the given leading words; absent values are left out. */
    static String[] pairs(final Map<String, String> map, final String... leading) {
        final List<String> pairs = new ArrayList<>(List.of(leading));
        map.forEach((name, value) -> {
            if (value != null) {
                pairs.add(name);
                pairs.add(value);
            }
        });
        return pairs.toArray(String[]::new);
    }
}
