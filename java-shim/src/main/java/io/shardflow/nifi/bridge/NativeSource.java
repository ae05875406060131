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

/** {@link KinesisSource} by way of {@link Native}. */
final class NativeSource extends NativeHandle implements KinesisSource {

    NativeSource(final long id) {
        super(id);
    }

    @Override
    public List<PartHeader> poll(final long waitMillis) {
        final PartHeader[] parts = Native.poll(id(), waitMillis);
        return parts == null ? List.of() : List.of(parts);
    }

    @Override
    public int read(
            final PartHeader part, final long position, final byte[] buffer, final int offset, final int length) {
        return Native.read(id(), part.batch(), part.part(), position, buffer, offset, length);
    }

    @Override
    public boolean mayCommit(final long batch) {
        final String[] answer = Native.control(id(), new String[] {"may-commit", Long.toString(batch)});
        return answer != null && answer.length > 0 && Boolean.parseBoolean(answer[0]);
    }

    @Override
    public void settle(final long batch, final boolean committed) {
        Native.settle(id(), batch, committed);
    }

    @Override
    public void credentials(final AwsKeys keys) {
        final String expiry =
                keys.expiry() == null ? null : Long.toString(keys.expiry().toEpochMilli());
        Native.control(
                id(),
                new String[] {"credentials", keys.accessKeyId(), keys.secretAccessKey(), keys.sessionToken(), expiry});
    }

    @Override
    public void noCredentials(final String reason) {
        Native.control(id(), new String[] {"no-credentials", reason});
    }

    @Override
    public void stopFetching() {
        Native.control(id(), new String[] {"stop-fetching"});
    }
}
