/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.apache.nifi.components.ValidationContext;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.components.Validator;
import org.apache.nifi.processor.DataUnit;

/**
 * Validators of our own, because NiFi's come with a library that every NAR would have to carry. Those of optional
 * properties accept a blank value: that is what an empty parameter yields, and it means "not set". No result holds the
 * value itself, which may be a secret.
 */
final class Validators {

    private static final Pattern REGION = Pattern.compile("[a-z]{2,}(-[a-z]+)+-\\d{1,2}");
    private static final Pattern ROLE_ARN = Pattern.compile("arn:[a-z-]+:iam::[^:]+:role/.+");
    private static final Pattern DURATION = Pattern.compile(
            "\\d+(\\.\\d+)?\\s*(ns|nano|nanos|nanosecond|nanoseconds|ms|milli|millis|millisecond|milliseconds|s|sec|secs"
                    + "|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks)",
            Pattern.CASE_INSENSITIVE);

    /** Something that is not blank. */
    static final Validator NON_BLANK =
            of(value -> value.isBlank() ? Optional.of("must not be blank") : Optional.empty());

    /** Anything, also nothing. */
    static final Validator OPTIONAL_TEXT = of(value -> Optional.empty());

    /** A region id such as {@code eu-west-1}; a new region of AWS needs no new release of ours. */
    static final Validator REGION_ID = of(value -> REGION.matcher(value.trim()).matches()
            ? Optional.empty()
            : Optional.of("\"%s\" is not the id of an AWS region such as us-west-2, ap-southeast-1 or eu-west-1"
                    .formatted(value)));

    /** The ARN of an IAM role, or nothing. */
    static final Validator OPTIONAL_ROLE_ARN =
            optional(value -> ROLE_ARN.matcher(value.trim()).matches()
                    ? Optional.empty()
                    : Optional.of("must be the ARN of a role such as arn:aws:iam::123456789012:role/NAME"));

    /** An {@code http} or {@code https} address, or nothing. */
    static final Validator OPTIONAL_URL = optional(value -> checkUrl(value, Set.of("http", "https")));

    /** An {@code https} address, or nothing. */
    static final Validator OPTIONAL_HTTPS_URL = optional(value -> checkUrl(value, Set.of("https")));

    /** A PEM private key, or nothing. */
    static final Validator OPTIONAL_PRIVATE_KEY = optional(value -> value.contains("PRIVATE KEY-----")
            ? Optional.empty()
            : Optional.of("must be a private key in PEM form, with its BEGIN and END lines"));

    /** A file that can be read, or nothing. */
    static final Validator OPTIONAL_FILE = optional(Validators::checkFile);

    /** An ISO 8601 instant with a zone. */
    static final Validator TIMESTAMP = of(Validators::checkTimestamp);

    /** A JSON Pointer (RFC 6901) to a member. */
    static final Validator JSON_POINTER =
            of(value -> value.startsWith("/") ? Optional.empty() : Optional.of("must be a JSON Pointer: /name/name"));

    private Validators() {}

    /** A whole number within both bounds. */
    static Validator number(final long least, final long most) {
        return of(value -> {
            try {
                final long number = Long.parseLong(value.trim());
                if (number >= least && number <= most) {
                    return Optional.empty();
                }
            } catch (final NumberFormatException e) {
                // Falls through to the same explanation.
            }
            return Optional.of("must be a whole number from %d to %d".formatted(least, most));
        });
    }

    /** A duration such as {@code 250 ms}, within both bounds. */
    static Validator duration(final long leastMillis, final long mostMillis) {
        final String explanation =
                "must be a time period from %d ms to %d ms, such as 30 sec".formatted(leastMillis, mostMillis);
        return (subject, input, context) -> {
            if (usesExpressions(subject, input, context)) {
                return result(subject, Optional.empty());
            }
            boolean valid = false;
            if (DURATION.matcher(input.trim()).matches()) {
                final long millis = context.newPropertyValue(input.trim()).asTimePeriod(TimeUnit.MILLISECONDS);
                valid = millis >= leastMillis && millis <= mostMillis;
            }
            return result(subject, valid ? Optional.empty() : Optional.of(explanation));
        };
    }

    /** A data size such as {@code 64 MB}, within both bounds. */
    static Validator size(final long leastBytes, final long mostBytes) {
        return of(value -> {
            try {
                final double bytes = DataUnit.parseDataSize(value.trim(), DataUnit.B);
                if (bytes >= leastBytes && bytes <= mostBytes) {
                    return Optional.empty();
                }
            } catch (final IllegalArgumentException e) {
                // Falls through to the same explanation.
            }
            return Optional.of("must be a data size from %d B to %d B, such as 10 MB".formatted(leastBytes, mostBytes));
        });
    }

    private static Optional<String> checkUrl(final String value, final Set<String> schemes) {
        try {
            final URI uri = new URI(value.trim());
            if (uri.getHost() != null
                    && uri.getScheme() != null
                    && schemes.contains(uri.getScheme().toLowerCase(Locale.ROOT))) {
                return Optional.empty();
            }
        } catch (final URISyntaxException e) {
            // Falls through to the same explanation.
        }
        return Optional.of("must be an address such as https://host:port");
    }

    private static Optional<String> checkFile(final String value) {
        try {
            if (Files.isReadable(Path.of(value.trim()))) {
                return Optional.empty();
            }
        } catch (final InvalidPathException e) {
            // Falls through to the same explanation.
        }
        return Optional.of("must be a file that NiFi can read");
    }

    private static Optional<String> checkTimestamp(final String value) {
        try {
            DateTimeFormatter.ISO_OFFSET_DATE_TIME.parse(value.trim(), Instant::from);
            return Optional.empty();
        } catch (final DateTimeException e) {
            return Optional.of("must be a time in ISO 8601 with a zone, such as 2026-01-31T12:00:00Z");
        }
    }

    private static Validator of(final Function<String, Optional<String>> check) {
        return (subject, input, context) -> result(
                subject,
                usesExpressions(subject, input, context) ? Optional.empty() : check.apply(input == null ? "" : input));
    }

    private static Validator optional(final Function<String, Optional<String>> check) {
        return of(value -> value.isBlank() ? Optional.empty() : check.apply(value));
    }

    // An expression has a value only when it is evaluated; its syntax is NiFi's to check.
    private static boolean usesExpressions(final String subject, final String input, final ValidationContext context) {
        return input != null
                && context.isExpressionLanguageSupported(subject)
                && context.isExpressionLanguagePresent(input);
    }

    private static ValidationResult result(final String subject, final Optional<String> problem) {
        return new ValidationResult.Builder()
                .subject(subject)
                .valid(problem.isEmpty())
                .explanation(problem.orElse("accepted"))
                .build();
    }
}
