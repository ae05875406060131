/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Finding;
import io.shardflow.nifi.bridge.Message;
import java.util.List;
import org.apache.nifi.components.ConfigVerificationResult;
import org.apache.nifi.logging.ComponentLog;

/** Turns what the native side says into NiFi's forms. */
final class Reports {

    private Reports() {}

    /** Writes messages to the processor's log, where warnings and errors become bulletins. */
    static void log(final List<Message> messages, final ComponentLog log) {
        for (final Message message : messages) {
            switch (message.level()) {
                case ERROR -> log.error("{}", message.text());
                case WARN -> log.warn("{}", message.text());
                case INFO -> log.info("{}", message.text());
            }
        }
    }

    static List<ConfigVerificationResult> results(final List<Finding> findings) {
        return findings.stream()
                .map(finding -> result(finding.step(), outcome(finding.outcome()), finding.explanation()))
                .toList();
    }

    /** The one result when the native side could not even be asked. */
    static List<ConfigVerificationResult> failed(final String step, final Exception cause) {
        return List.of(result(step, ConfigVerificationResult.Outcome.FAILED, cause.getMessage()));
    }

    private static ConfigVerificationResult.Outcome outcome(final Finding.Outcome outcome) {
        return switch (outcome) {
            case SUCCESSFUL -> ConfigVerificationResult.Outcome.SUCCESSFUL;
            case FAILED -> ConfigVerificationResult.Outcome.FAILED;
            case SKIPPED -> ConfigVerificationResult.Outcome.SKIPPED;
        };
    }

    private static ConfigVerificationResult result(
            final String step, final ConfigVerificationResult.Outcome outcome, final String explanation) {
        return new ConfigVerificationResult.Builder()
                .verificationStepName(step)
                .outcome(outcome)
                .explanation(explanation)
                .build();
    }
}
