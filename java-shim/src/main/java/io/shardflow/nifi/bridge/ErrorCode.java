/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

/** Meaning of {@link NativeException#code()}. The numbers are frozen: both languages know them. */
public enum ErrorCode {
    /** A property's value cannot be used. */
    CONFIG(1),
    /** A service refused the identity or the permission. */
    AUTH(2),
    /** A service asks for patience. */
    THROTTLED(3),
    /** A service cannot be reached or fails. */
    UNAVAILABLE(4),
    /** Another node owns the shard now. */
    LEASE_LOST(5),
    /** A stream, table, pipe, batch or upload does not exist. */
    NOT_FOUND(6),
    /** A client or channel was invalidated by another one. */
    CONFLICT(7),
    /** The destination refuses the data itself. */
    REJECTED(8),
    /** The handle is closed, was never open, or is of the other kind. */
    CLOSED(9),
    /** The wait was interrupted. */
    INTERRUPTED(10),
    /** The jar and the library do not belong together. */
    ABI(11),
    /** An invariant of the native code does not hold. */
    INTERNAL(99),
    /** The native code panicked; the message holds its text. */
    PANIC(255);

    private final int code;

    ErrorCode(final int code) {
        this.code = code;
    }

    /** The number that crosses the boundary. */
    public int code() {
        return code;
    }

    /** Whether trying again later may succeed without anybody changing anything. */
    public boolean isRetryable() {
        return this == THROTTLED
                || this == UNAVAILABLE
                || this == LEASE_LOST
                || this == CONFLICT
                || this == INTERRUPTED;
    }

    /** The constant for a number; {@link #INTERNAL} for an unknown one. */
    public static ErrorCode of(final int code) {
        for (final ErrorCode value : values()) {
            if (value.code == code) {
                return value;
            }
        }
        return INTERNAL;
    }
}
