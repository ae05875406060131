/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** {@link SnowpipeSink} by way of {@link Native}. */
final class NativeSink extends NativeHandle implements SnowpipeSink {

    private static final byte[] NOTHING = new byte[0];
    private static final int END_OF_DATA = -1;

    NativeSink(final long id) {
        super(id);
    }

    @Override
    public long begin(final Map<String, String> upload) {
        return Native.begin(id(), pairs(upload));
    }

    @Override
    public Outcome advance(final long upload, final long waitMillis) {
        return Native.advance(id(), upload, waitMillis);
    }

    @Override
    public List<Long> ready(final int most, final long waitMillis) {
        final String[] command = {"ready", Integer.toString(most), Long.toString(waitMillis)};
        final String[] ids = Native.control(id(), command);
        return ids == null ? List.of() : Arrays.stream(ids).map(Long::valueOf).toList();
    }

    @Override
    public void write(final long upload, final byte[] buffer, final int offset, final int length) {
        Native.write(id(), upload, buffer, offset, length);
    }

    @Override
    public void finishData(final long upload) {
        Native.write(id(), upload, NOTHING, 0, END_OF_DATA);
    }

    @Override
    public List<Piece> pieces(final long upload) {
        return Piece.of(Native.control(id(), new String[] {"pieces", Long.toString(upload)}));
    }

    @Override
    public void abandon(final long upload) {
        Native.control(id(), new String[] {"abandon", Long.toString(upload)});
    }

    @Override
    public void hurry() {
        Native.control(id(), new String[] {"hurry"});
    }
}
