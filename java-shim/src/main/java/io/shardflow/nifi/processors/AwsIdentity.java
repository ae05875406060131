/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.AwsKeys;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.ValidationContext;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.context.PropertyContext;

/** The properties that say who calls AWS. */
final class AwsIdentity {

    private static final String SERVICE = "The AWS Credentials Provider Service";
    private static final String EXPIRY = "AWS Credentials Expiry";

    private AwsIdentity() {}

    /** Properties that contradict one another. */
    static List<ValidationResult> validate(final ValidationContext context) {
        final boolean id = Settings.isSet(context.getProperty(KinesisProperties.ACCESS_KEY_ID));
        final boolean secret = Settings.isSet(context.getProperty(KinesisProperties.SECRET_ACCESS_KEY));
        final boolean token = Settings.isSet(context.getProperty(KinesisProperties.SESSION_TOKEN));
        final List<ValidationResult> problems = new ArrayList<>();
        if (id != secret) {
            final PropertyDescriptor missing =
                    id ? KinesisProperties.SECRET_ACCESS_KEY : KinesisProperties.ACCESS_KEY_ID;
            problems.add(invalid(missing, "the access key id and its secret must be set both or neither"));
        }
        if (token && !id) {
            problems.add(invalid(
                    KinesisProperties.SESSION_TOKEN, "a session token belongs to an access key id and its secret"));
        }
        if (id && hasService(context)) {
            problems.add(invalid(
                    KinesisProperties.ACCESS_KEY_ID,
                    "set either keys or an AWS Credentials Provider Service, not both"));
        }
        return problems;
    }

    /** What asks the service, if one is set. */
    static Optional<Supplier<AwsKeys>> service(final PropertyContext context) {
        return ServiceCredentials.DESCRIPTOR
                .filter(property -> context.getProperty(property).isSet())
                .map(property -> ServiceCredentials.supplier(context.getProperty(property)));
    }

    /** Tells that credentials are handed over while the source is open. */
    static void announce(final PropertyContext context, final Settings settings) {
        ServiceCredentials.DESCRIPTOR
                .filter(property -> context.getProperty(property).isSet())
                .ifPresent(property -> settings.value(
                        property.getName(), context.getProperty(property).getValue()));
    }

    /** As {@link #resolve(PropertyContext, Settings)}; a service that takes longer than the limit has none. */
    static Settings resolve(final PropertyContext context, final Settings settings, final Duration limit) {
        return add(service(context).map(keys -> TimeLimit.get(keys, limit, SERVICE)), settings);
    }

    /** Adds credentials of the service that are good for calls right now. */
    static Settings resolve(final PropertyContext context, final Settings settings) {
        return add(service(context).map(Supplier::get), settings);
    }

    private static Settings add(final Optional<AwsKeys> given, final Settings settings) {
        given.ifPresent(keys -> {
            settings.value(KinesisProperties.ACCESS_KEY_ID.getName(), keys.accessKeyId())
                    .value(KinesisProperties.SECRET_ACCESS_KEY.getName(), keys.secretAccessKey());
            if (keys.sessionToken() != null) {
                settings.value(KinesisProperties.SESSION_TOKEN.getName(), keys.sessionToken());
            }
            if (keys.expiry() != null) {
                settings.value(EXPIRY, Long.toString(keys.expiry().toEpochMilli()));
            }
        });
        return settings;
    }

    private static boolean hasService(final PropertyContext context) {
        return ServiceCredentials.DESCRIPTOR
                .filter(property -> context.getProperty(property).isSet())
                .isPresent();
    }

    private static ValidationResult invalid(final PropertyDescriptor property, final String explanation) {
        return new ValidationResult.Builder()
                .subject(property.getName())
                .valid(false)
                .explanation(explanation)
                .build();
    }
}
