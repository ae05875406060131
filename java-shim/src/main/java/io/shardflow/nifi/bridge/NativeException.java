/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

/** A failure on the native side. Native code constructs it with {@code (int, String)}. */
public class NativeException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int code;

    /**
     * @param code see {@link ErrorCode}; kept as given when unknown
     * @param message what happened, without secrets and record data
     */
    public NativeException(final int code, final String message) {
        super(message);
        this.code = code;
    }

    /** The number that crossed the boundary. */
    public int code() {
        return code;
    }

    /** The meaning of {@link #code()}; {@link ErrorCode#INTERNAL} when unknown. */
    public ErrorCode errorCode() {
        return ErrorCode.of(code);
    }
}
