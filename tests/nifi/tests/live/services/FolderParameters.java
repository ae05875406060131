package test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.controller.ConfigurationContext;
import org.apache.nifi.parameter.AbstractParameterProvider;
import org.apache.nifi.parameter.Parameter;
import org.apache.nifi.parameter.ParameterGroup;

/** Gives a parameter for each file of a folder, as a mounted secret has them; the folder's name is the group's. */
public class FolderParameters extends AbstractParameterProvider {

    private static final PropertyDescriptor FOLDER = new PropertyDescriptor.Builder()
            .name("Folder")
            .required(true)
            .addValidator(Validator.VALID)
            .build();

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return List.of(FOLDER);
    }

    @Override
    public List<ParameterGroup> fetchParameters(final ConfigurationContext context) throws IOException {
        final Path folder = Path.of(context.getProperty(FOLDER).getValue());
        final List<Parameter> parameters = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (final Path file : files.toList()) {
                parameters.add(new Parameter.Builder()
                        .name(file.getFileName().toString())
                        .value(Files.readString(file))
                        .provided(true)
                        .build());
            }
        }
        return List.of(new ParameterGroup(folder.getFileName().toString(), parameters));
    }
}
