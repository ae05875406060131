package test;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Properties;
import org.apache.nifi.annotation.lifecycle.OnEnabled;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.controller.ConfigurationContext;
import org.apache.nifi.processors.aws.credentials.provider.AwsCredentialsProviderService;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;

/** Gives the temporary credentials that a file holds at the moment. */
public class FileCredentials extends AbstractControllerService implements AwsCredentialsProviderService {

    private static final PropertyDescriptor FILE = new PropertyDescriptor.Builder()
            .name("File")
            .required(true)
            .addValidator(Validator.VALID)
            .build();

    private volatile Path file;

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return List.of(FILE);
    }

    @OnEnabled
    public void enable(final ConfigurationContext context) {
        file = Path.of(context.getProperty(FILE).getValue());
    }

    @Override
    public AwsCredentialsProvider getAwsCredentialsProvider() {
        return this::read;
    }

    private AwsCredentials read() {
        final Properties values = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            values.load(reader);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return AwsSessionCredentials.builder()
                .accessKeyId(values.getProperty("id"))
                .secretAccessKey(values.getProperty("secret"))
                .sessionToken(values.getProperty("token"))
                .expirationTime(Instant.ofEpochMilli(Long.parseLong(values.getProperty("expiry"))))
                .build();
    }
}
