/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

/**
 * The whole JNI surface: fourteen static methods, implemented by the native library that {@link NativeLibrary} loads.
 *
 * <p>Nothing here loads the library, so that merely initialising the class is harmless. Every method except
 * {@link #abiVersion()} throws {@link NativeException}; a panic on the native side arrives as one with the code
 * {@link ErrorCode#PANIC}. Strings cross only in configuration, {@link #begin} and {@link #control}; data crosses by
 * region copy into or out of a byte array that the caller reuses. No method waits longer than its wait argument plus a
 * bounded step. Handles are ids that are never used again, zero is never one.
 */
final class Native {

    /** What this jar expects {@link #abiVersion()} to answer. */
    static final int ABI_VERSION = 1;

    private Native() {}

    /** Version of this surface as the library was built with it. */
    static native int abiVersion();

    /**
     * Prepares the library: binds and checks the Java types it constructs ({@link PartHeader}, {@link Outcome},
     * {@link NativeException}). Idempotent.
     *
     * @param settings pairs of name and value: {@code log-level} (error, warn, info, debug, trace),
     *     {@code worker-threads}; unknown names are ignored
     */
    static native void init(String[] settings);

    /**
     * Copies complete log lines in UTF-8 into the buffer, each {@code LEVEL text\n} with the level's name in upper
     * case.
     *
     * @return bytes copied, 0 when there is nothing
     */
    static native int drainLogs(byte[] buffer);

    /** Opens a Kinesis source and returns at once; {@code config} holds pairs of property name and value. */
    static native long openSource(String[] config);

    /** Opens a Snowpipe Streaming sink and returns at once; {@code config} holds pairs of property name and value. */
    static native long openSink(String[] config);

    /**
     * Takes the next batch.
     *
     * @return the headers of its parts, all with the same batch id, or null when nothing got ready in time
     */
    static native PartHeader[] poll(long source, long waitMillis);

    /**
     * Copies content of a part from {@code position} on.
     *
     * @return bytes copied, -1 when {@code position} is at the end
     */
    static native int read(long source, long batch, int part, long position, byte[] buffer, int offset, int length);

    /** Ends a batch: its positions may be stored when committed, its shards go back to it when not. */
    static native void settle(long source, long batch, boolean committed);

    /** Announces one FlowFile; {@code upload} holds pairs of name and value. Returns the upload's id. */
    static native long begin(long sink, String[] upload);

    /** Moves an upload on, waiting at most {@code waitMillis} for a change of its state. */
    static native Outcome advance(long sink, long upload, long waitMillis);

    /** Hands over content of an upload that wants data; a {@code length} of -1 is the end of the data. */
    static native void write(long sink, long upload, byte[] buffer, int offset, int length);

    /** State of a source or sink as a JSON document in UTF-8. */
    static native byte[] status(long handle);

    /**
     * Runs a command.
     *
     * <ul>
     *   <li>{@code messages}: answers level, text, level, text, … with levels ERROR, WARN, INFO; each is told once
     *   <li>{@code stop-fetching} (source): answers nothing
     *   <li>{@code may-commit}, batch id (source): answers {@code true} or {@code false}
     *   <li>{@code credentials}, access key id, secret, session token or null, expiry in epoch milliseconds or null
     *       (source): signs with these from now on; answers nothing
     *   <li>{@code no-credentials}, reason (source): there are no newer ones at the moment; answers nothing
     *   <li>{@code pieces}, upload id (sink): rows that take another way than the rest, seven texts each: FAILED or INVALID,
     *       first byte, bytes, rows, first and last offset token (empty when not known), reason
     *   <li>{@code ready}, how many at most, milliseconds to wait while there is none (sink): ids of uploads that began to
     *       want data or ended; each change is told once
     *   <li>{@code counters}: answers name, number, … of what was counted since the last time
     *   <li>{@code abandon}, upload id (sink): answers nothing
     *   <li>{@code hurry} (sink): ends what waits for nothing but to know more of rejected rows, and no write waits for
     *       room any more; answers nothing
     *   <li>{@code deregister} (source): removes the fan-out consumer; answers as {@code messages}
     *   <li>with handle 0, {@code verify-source} or {@code verify-sink} followed by pairs of configuration: answers
     *       step, outcome, explanation, … with outcomes SUCCESSFUL, FAILED, SKIPPED; may take many seconds
     * </ul>
     */
    static native String[] control(long handle, String[] command);

    /** Closes a source or sink of either kind within about {@code graceMillis}; closing twice does nothing. */
    static native void close(long handle, long graceMillis);
}
