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
 * Result of one verification step.
 *
 * @param step what was tried
 * @param outcome how it ended
 * @param explanation what was found, and the remedy when something is wrong
 */
public record Finding(String step, Outcome outcome, String explanation) {

    /** How a verification step ended. */
    public enum Outcome {
        /** As it should be. */
        SUCCESSFUL,
        /** The processor would not work. */
        FAILED,
        /** Not tried, because an earlier step failed or it does not apply. */
        SKIPPED
    }
}
