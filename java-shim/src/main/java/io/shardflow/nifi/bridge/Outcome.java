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
 * Where an upload stands. Constructed by native code.
 *
 * @param state one of {@link State}'s codes
 * @param rowsSent rows of this upload that were sent
 * @param rowsSkipped rows that the destination already held
 * @param rowErrors rows that the destination rejected
 * @param message what to tell the user, or null
 * @param transitUri where the rows went, for provenance; may be empty
 */
public record Outcome(int state, long rowsSent, long rowsSkipped, long rowErrors, String message, String transitUri) {

    /** The state as an enum. */
    public State stateOf() {
        return State.of(state);
    }

    /** States of an upload; the ordinal is the code that crosses the boundary. */
    public enum State {
        /** Code 0: not its turn yet: channel opening, gap in front, other uploads first, memory. */
        WAITING,
        /** Code 1: content may be written now. */
        WANT_DATA,
        /** Code 2: content handed over, not yet durable in the destination. */
        IN_FLIGHT,
        /** Code 3: durable in the destination. */
        COMMITTED,
        /** Code 4: durable, but the destination rejected some rows. */
        INVALID,
        /** Code 5: nothing is wrong with the FlowFile: it goes back to the queue and is begun again. */
        RETRY,
        /** Code 6: cannot be delivered. */
        FAILED;

        private static final State[] VALUES = values();

        /** The state of a code; throws {@link NativeException} for one that this jar does not know. */
        public static State of(final int code) {
            if (code < 0 || code >= VALUES.length) {
                throw new NativeException(ErrorCode.ABI.code(), "Unknown upload state " + code);
            }
            return VALUES[code];
        }

        /** Whether the upload is finished: nothing more will happen to it. */
        public boolean isTerminal() {
            return ordinal() >= COMMITTED.ordinal();
        }
    }
}
