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
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.PropertyValue;
import org.apache.nifi.processors.aws.credentials.provider.AwsCredentialsProviderService;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;

/**
 * NiFi's AWS Credentials Provider Service. The only class that names types of NiFi's AWS extension: the first releases of
 * NiFi 2 lack the interface, and everything else works there all the same.
 */
final class ServiceCredentials {

    private static final String INTERFACE =
            "org.apache.nifi.processors.aws.credentials.provider.AwsCredentialsProviderService";

    /** The property, where this NiFi knows the kind of service. */
    static final Optional<PropertyDescriptor> DESCRIPTOR = isKnown() ? Optional.of(descriptor()) : Optional.empty();

    private ServiceCredentials() {}

    /** What a service gives each time it is asked. Asking may take as long as the service's own calls. */
    static Supplier<AwsKeys> supplier(final PropertyValue property) {
        final AwsCredentialsProviderService service = property.asControllerService(AwsCredentialsProviderService.class);
        return new Supplier<>() {
            private AwsCredentialsProvider provider;

            @Override
            public AwsKeys get() {
                if (provider == null) {
                    provider = service.getAwsCredentialsProvider();
                }
                return keys(provider.resolveCredentials());
            }
        };
    }

    private static AwsKeys keys(final AwsCredentials credentials) {
        final String token = credentials instanceof AwsSessionCredentials temporary ? temporary.sessionToken() : null;
        return new AwsKeys(
                credentials.accessKeyId(),
                credentials.secretAccessKey(),
                token,
                credentials.expirationTime().orElse(null));
    }

    private static boolean isKnown() {
        try {
            Class.forName(INTERFACE, false, ServiceCredentials.class.getClassLoader());
            return true;
        } catch (final ClassNotFoundException e) {
            return false;
        }
    }

    private static PropertyDescriptor descriptor() {
        return new PropertyDescriptor.Builder()
                .name("AWS Credentials Provider Service")
                .description(
                        "Service that gives the AWS credentials, and new ones before they expire. Instead of AWS Access"
                                + " Key ID and AWS Secret Access Key; without both the AWS default credentials chain of the machine"
                                + " is used: environment, profile, web identity, container, instance.")
                .identifiesControllerService(AwsCredentialsProviderService.class)
                .build();
    }
}
